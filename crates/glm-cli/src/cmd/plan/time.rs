//! The time of a run, told from a short run of the first two blocks of the base on this machine.

use crate::cmd::adapter;
use crate::cmd::base::Prepared;
use crate::config::RunConfig;
use crate::config::adapter::AdapterConfig;
use glm_data::{Batch, Rng, TrainRow};
use glm_model::adapter::{LoraAdapter, LoraConfig, PrefixConfig, PrefixEncoder};
use glm_model::{Network, Trains};
use glm_train::Adapter;
use glm_train::measure::{step_time, update_time};
use glm_train::memory::Workload;
use serde::Serialize;

/// Seconds of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Time {
    /// Tokens of the pass that was measured.
    pub measured_tokens: usize,
    /// Of a micro batch of usual length.
    pub micro_batch: f64,
    /// Of an optimizer step.
    pub update: f64,
    /// Of the whole run.
    pub run: f64,
}

/// Measures one pass of rows of usual length and an update. `work` says how many values train.
///
/// # Errors
/// When the first blocks cannot be loaded.
pub fn measure(
    prepared: Prepared<'_>,
    settings: &RunConfig,
    rows: &[TrainRow],
    recompute: bool,
    (steps, micro_batches): (u64, u64),
    work: &Workload<'_>,
) -> anyhow::Result<Time> {
    let layers = prepared.about()?.config.num_layers;
    let trains = settings.adapter.as_ref().map_or(Trains::Nothing, AdapterConfig::trains);
    let frozen = match trains {
        Trains::LastBlocks(count) => layers.saturating_sub(count),
        Trains::Nothing | Trains::All => 0,
    };
    // Two blocks tell the cost of one. Where blocks below the trained ones only run forward, the first of the two does,
    // and the second stands for two.
    let loaded =
        prepared.load_first(2, if frozen > 0 { Trains::LastBlocks(1) } else { trains.within(2.min(layers)) })?;
    let (short, long, below) = if frozen > 0 {
        (loaded.with_blocks(&[1]), loaded.with_blocks(&[1, 1]), Some(loaded))
    } else {
        (loaded.with_blocks(&[0]), loaded, None)
    };
    let batch = settings.train.per_device_train_batch_size;
    let mut by_length: Vec<&TrainRow> = rows.iter().collect();
    by_length.sort_by_key(|row| row.ids.len());
    // As many rows as go through the network together.
    let size = work.rows.min(by_length.len());
    let first = (by_length.len() - size) / 2;
    let opened = prepared.about()?.adapter;
    let of = |network: &Network| fresh(settings, opened.as_ref(), network);
    let (few, many) = (of(&short)?, of(&long)?);
    let micro = Batch::pack(by_length[first..first + size].iter().copied(), few.slot());
    let below = below.as_ref().map(|network| (network, &few));
    let time = step_time((&short, &few), (&long, &many), below, &micro, recompute)?;
    let mean =
        rows.iter().map(|row| row.ids.len()).sum::<usize>() as f64 / rows.len() as f64 * batch.min(rows.len()) as f64;
    let micro_batch = time.micro_batch(layers, frozen) * mean / micro.len().max(1) as f64;
    let update = update_time(&settings.train, work.trainable)? * work.trainable as f64;
    let run = micro_batch * micro_batches as f64 + update * steps as f64;
    Ok(Time { measured_tokens: micro.len(), micro_batch, update, run })
}

/// The adapter of the run on a shorter network: fresh, of the sizes of the one that it would be loaded from.
fn fresh(settings: &RunConfig, opened: Option<&Adapter>, network: &Network) -> anyhow::Result<Adapter> {
    let Some(config) = &settings.adapter else { return Ok(Adapter::Full) };
    let mut rng = Rng::with_stream(settings.train.seed, 0);
    match opened {
        Some(Adapter::Prefix { encoder, dropout }) => {
            let sizes = encoder.config();
            let sizes = PrefixConfig::new(network.config(), sizes.pre_seq_len, sizes.prefix_projection);
            Ok(Adapter::Prefix { encoder: PrefixEncoder::new(sizes, &mut rng)?, dropout: *dropout })
        }
        Some(Adapter::Lora(lora)) => {
            let config = LoraConfig { layers: None, ..lora.config().clone() };
            Ok(Adapter::Lora(LoraAdapter::new(config, network.config(), &mut rng)?))
        }
        _ => adapter::fresh(config, network, settings.train.seed, settings.train.per_device_train_batch_size),
    }
}
