//! How long a micro batch takes on this machine, told from the first blocks of a base alone.

mod head;

pub use head::head_time;

use crate::TrainConfig;
use crate::adapter::Adapter;
use crate::clip::clip_grad_norm;
use crate::error::Result;
use crate::optim::{AdamW, AdamWConfig, ParamSlice};
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
    /// Each block that a gradient goes through.
    pub block: f64,
    /// Each block below the lowest trainable one: forward only.
    pub frozen_block: f64,
}

impl StepTime {
    /// Seconds of a micro batch through `blocks` blocks, of which the first `frozen` only run forward.
    pub fn micro_batch(self, blocks: usize, frozen: usize) -> f64 {
        let trained = blocks.saturating_sub(frozen);
        self.fixed + self.block * trained as f64 + self.frozen_block * frozen.min(blocks) as f64
    }
}

/// The shortest of several runs, after a first one that only warms caches, in seconds.
fn shortest(mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut shortest = f64::INFINITY;
    for number in 0..=RUNS {
        let began = Instant::now();
        run()?;
        if number > 0 {
            shortest = shortest.min(began.elapsed().as_secs_f64());
        }
    }
    Ok(shortest)
}

/// Times the same micro batch through a short network and longer ones: the difference is the time of the additional blocks.
/// `short` and `long` have backward passes through all their blocks; `below` is `short` with blocks in front that only
/// run forward. `recompute` says whether activations are recomputed.
///
/// # Errors
/// As [`accumulate`].
pub fn step_time(
    short: (&Network, &Adapter),
    long: (&Network, &Adapter),
    below: Option<(&Network, &Adapter)>,
    batch: &Batch,
    recompute: bool,
) -> Result<StepTime> {
    let blocks = |(network, _): (&Network, &Adapter)| network.blocks().len();
    let few = seconds(short, batch, recompute)?;
    let additional = |longer: (&Network, &Adapter)| -> Result<f64> {
        let count = blocks(longer).saturating_sub(blocks(short)).max(1);
        Ok(((seconds(longer, batch, recompute)? - few) / count as f64).max(0.0))
    };
    let block = additional(long)?;
    let frozen_block = below.map_or(Ok(0.0), additional)?;
    Ok(StepTime { fixed: (few - block * blocks(short) as f64).max(0.0), block, frozen_block })
}

/// Most values on which an update is timed: all that it reads and writes is then larger than any cache.
const UPDATED: usize = 1 << 24;

/// On how many values the update of a run with so many trainable ones is timed.
fn timed(trainable: u64) -> usize {
    usize::try_from(trainable).unwrap_or(UPDATED).clamp(1, UPDATED)
}

/// Seconds that clipping and an optimizer step take for one of `trainable` values.
///
/// # Errors
/// Never: the tensors are made here.
pub fn update_time(config: &TrainConfig, trainable: u64) -> Result<f64> {
    let count = timed(trainable);
    let mut value = vec![0.0f32; count];
    let mut grad = vec![1e-3f32; count];
    let mut optimizer = AdamW::new(AdamWConfig::from(config), [("timed", count)]);
    let seconds = shortest(|| {
        clip_grad_norm(&mut [("timed", grad.as_mut_slice())], config.max_grad_norm)
            .map_err(|bad| candle_core::Error::Msg(bad.to_string()))?;
        let mut param = [ParamSlice { name: "timed", value: &mut value, grad: &grad, decay: true }];
        optimizer.step(1e-3, &mut param).map_err(|error| candle_core::Error::Msg(error.to_string()))?;
        Ok(())
    })?;
    Ok(seconds / count as f64)
}

fn seconds((network, adapter): (&Network, &Adapter), batch: &Batch, recompute: bool) -> Result<f64> {
    let kept_blocks = if recompute { 0 } else { network.blocks().len() };
    let options = StepOptions { kept_blocks, scale: 1.0, step: 1 };
    let mut gradients = Gradients::zeros(adapter.parameters(network));
    shortest(|| {
        accumulate(network, adapter, std::slice::from_ref(batch), options, &mut Rng::new(0), &mut gradients).map(drop)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_values_are_timed_than_train() {
        assert_eq!([0, 1, 5_000, UPDATED as u64, u64::MAX].map(timed), [1, 1, 5_000, UPDATED, UPDATED]);
    }

    #[test]
    fn blocks_below_the_trained_ones_count_at_their_own_price() {
        let time = StepTime { fixed: 1.0, block: 0.5, frozen_block: 0.125 };
        assert_eq!([0, 4, 9].map(|frozen| time.micro_batch(4, frozen)), [3.0, 1.5, 1.5]);
    }
}
