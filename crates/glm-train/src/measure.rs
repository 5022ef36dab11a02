//! How long a micro batch takes on this machine, told from the first blocks of a base alone.

use crate::adapter::Adapter;
use crate::error::Result;
use crate::step::{Gradients, StepOptions, accumulate};
use glm_data::{Batch, Rng};
use glm_model::Network;
use std::time::Instant;

/// Times after a first run that only warms caches; the shortest counts.
const RUNS: usize = 2;

/// Seconds of one micro batch, forward and backward.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepTime {
    /// Embedding, output layer, loss.
    pub fixed: f64,
    /// Each block.
    pub block: f64,
}

impl StepTime {
    /// Seconds of a micro batch through `blocks` blocks.
    pub fn micro_batch(self, blocks: usize) -> f64 {
        self.fixed + self.block * blocks as f64
    }
}

/// Times the same micro batch through a short network and a longer one: their difference is the time of the additional
/// blocks. `recompute` says whether activations are recomputed.
///
/// # Errors
/// As [`accumulate`].
pub fn step_time(
    short: (&Network, &Adapter),
    long: (&Network, &Adapter),
    batch: &Batch,
    recompute: bool,
) -> Result<StepTime> {
    let blocks = |(network, _): (&Network, &Adapter)| network.blocks().len();
    let (few, many) = (seconds(short, batch, recompute)?, seconds(long, batch, recompute)?);
    let additional = blocks(long).saturating_sub(blocks(short)).max(1);
    let block = ((many - few) / additional as f64).max(0.0);
    Ok(StepTime { fixed: (few - block * blocks(short) as f64).max(0.0), block })
}

fn seconds((network, adapter): (&Network, &Adapter), batch: &Batch, recompute: bool) -> Result<f64> {
    let kept_blocks = if recompute { 0 } else { network.blocks().len() };
    let options = StepOptions { kept_blocks, scale: 1.0, step: 1 };
    let mut gradients = Gradients::zeros(adapter.parameters(network));
    let mut shortest = f64::INFINITY;
    for run in 0..=RUNS {
        let began = Instant::now();
        accumulate(network, adapter, batch, options, &mut Rng::new(0), &mut gradients)?;
        if run > 0 {
            shortest = shortest.min(began.elapsed().as_secs_f64());
        }
    }
    Ok(shortest)
}
