//! The time of a run, told from a short run of the first two blocks of the base on this machine.

use crate::cmd::adapter;
use crate::cmd::base::Prepared;
use crate::config::RunConfig;
use glm_data::{Batch, Rng, TrainRow};
use glm_model::Network;
use glm_model::adapter::{LoraAdapter, LoraConfig, PrefixConfig, PrefixEncoder};
use glm_train::Adapter;
use glm_train::measure::step_time;
use serde::Serialize;

/// Seconds of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Time {
    /// Tokens of the micro batch that was measured.
    pub measured_tokens: usize,
    /// Of a micro batch of usual length.
    pub micro_batch: f64,
    /// Of the whole run.
    pub run: f64,
}

/// Measures one micro batch of usual length.
///
/// # Errors
/// When the first blocks cannot be loaded.
pub fn measure(
    prepared: Prepared<'_>,
    settings: &RunConfig,
    rows: &[TrainRow],
    recompute: bool,
    micro_batches: u64,
) -> anyhow::Result<Time> {
    let layers = prepared.about()?.config.num_layers;
    let long = prepared.load_first(2)?;
    let short = long.first_blocks(1);
    let batch = settings.train.per_device_train_batch_size;
    let mut by_length: Vec<&TrainRow> = rows.iter().collect();
    by_length.sort_by_key(|row| row.ids.len());
    let size = batch.min(by_length.len());
    let first = (by_length.len() - size) / 2;
    let opened = prepared.about()?.adapter;
    let of = |network: &Network| fresh(settings, opened.as_ref(), network);
    let (few, many) = (of(&short)?, of(&long)?);
    let micro = Batch::pack(by_length[first..first + size].iter().copied(), few.slot());
    let time = step_time((&short, &few), (&long, &many), &micro, recompute)?;
    let mean = rows.iter().map(|row| row.ids.len()).sum::<usize>() as f64 / rows.len() as f64 * size as f64;
    let micro_batch = time.micro_batch(layers) * mean / micro.len().max(1) as f64;
    Ok(Time { measured_tokens: micro.len(), micro_batch, run: micro_batch * micro_batches as f64 })
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
