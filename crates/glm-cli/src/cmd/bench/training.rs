//! A micro batch, forward and backward, and an optimizer step: P-Tuning v2 and LoRA.

use glm_data::{Batch, IGNORE_INDEX, Positions, TrainRow, Variant};
use glm_model::glm::layout;
use glm_model::{GlmConfig, Network};
use glm_train::measure::{head_time, step_time, update_time};
use glm_train::{Adapter, TrainConfig};
use serde::Serialize;

use super::loading::Loaded;
use super::{Rate, Split};
use crate::cmd::adapter;
use crate::cmd::peaks::Peaks;
use crate::config::BenchSettings;
use crate::config::adapter::AdapterConfig;

/// Both methods on the same rows.
#[derive(Debug, Serialize)]
pub(super) struct Training {
    /// Rows of the micro batch.
    pub rows: usize,
    /// Tokens of all of them.
    pub tokens: usize,
    /// Scored tokens.
    pub targets: usize,
    /// Blocks that were measured.
    pub blocks: usize,
    /// Blocks of the base.
    pub layers: usize,
    /// Seconds of the final norm, output layer and loss, forward and backward.
    pub head_seconds: f64,
    /// Operations of the output layer's products.
    pub head: Rate,
    /// Each method.
    pub methods: Vec<Method>,
}

/// One method.
#[derive(Debug, Serialize)]
pub(super) struct Method {
    /// Its name with its size.
    pub method: String,
    /// Trainable values over the whole base.
    pub trainable: u64,
    /// Seconds of a block forward and backward, and of all else.
    pub time: Split,
    /// Operations of the frozen products of a block.
    pub block: Rate,
    /// Seconds of a micro batch through the whole base.
    pub micro_batch_seconds: f64,
    /// Operations of all frozen products.
    pub micro_batch: Rate,
    /// Tokens a second.
    pub tokens_per_second: f64,
    /// Seconds of an optimizer step.
    pub update_seconds: f64,
}

/// Operations of the frozen products of a block for one token: forward, and the gradient of the input.
fn block_operations(config: &GlmConfig) -> f64 {
    4.0 * layout::linears(config).iter().map(|(_, [out, inner], _)| (out * inner) as f64).sum::<f64>()
}

/// Measures.
///
/// # Errors
/// When an adapter does not fit the base or the memory.
pub(super) fn measure(
    loaded: &Loaded,
    config: &GlmConfig,
    settings: &BenchSettings,
    peaks: &Peaks,
) -> anyhow::Result<Training> {
    let row = row(config, settings.prompt, settings.answer);
    let batch = Batch::pack(std::iter::repeat_n(&row, settings.rows), Some(0));
    let targets = batch.supervised().len();
    let peak = peaks.of(settings.base.compute.into());
    let layers = config.num_layers;
    let head_seconds = head_time(&loaded.one, targets)?;
    let of_head = 4.0 * (targets * config.vocab_size * config.hidden_size) as f64;
    let of_block = block_operations(config) * batch.len() as f64;
    let mut methods = Vec::new();
    for adapter in [prefix(settings), lora(settings)] {
        let fresh = |network: &Network| adapter::fresh(&adapter, network, 0, settings.rows);
        let (few, many) = (fresh(&loaded.one)?, fresh(&loaded.all)?);
        let time = step_time((&loaded.one, &few), (&loaded.all, &many), None, &batch, false)?;
        let time = Split { block: time.block, fixed: time.fixed };
        let trainable = trainable(&few, &loaded.one, layers);
        let micro_batch_seconds = time.total(layers);
        methods.push(Method {
            method: match &few {
                Adapter::Lora(lora) => format!("LoRA, rank {}", lora.config().rank),
                _ => format!("P-Tuning v2, {} positions", settings.pre_seq_len),
            },
            trainable,
            time,
            block: Rate::of(of_block, time.block, peak),
            micro_batch_seconds,
            micro_batch: Rate::of(of_block * layers as f64 + of_head, micro_batch_seconds, peak),
            tokens_per_second: batch.len() as f64 / micro_batch_seconds.max(1e-9),
            update_seconds: update_time(&TrainConfig::default(), trainable)? * trainable as f64,
        });
    }
    Ok(Training {
        rows: settings.rows,
        tokens: batch.len(),
        targets,
        blocks: loaded.blocks(),
        layers,
        head_seconds,
        head: Rate::of(of_head, head_seconds, peak),
        methods,
    })
}

fn prefix(settings: &BenchSettings) -> AdapterConfig {
    AdapterConfig::Ptuning {
        init_from: None,
        pre_seq_len: Some(settings.pre_seq_len),
        prefix_projection: Some(settings.prefix_projection),
        dropout: 0.0,
    }
}

fn lora(settings: &BenchSettings) -> AdapterConfig {
    AdapterConfig::Lora {
        init_from: None,
        rank: Some(settings.lora_rank),
        alpha: None,
        dropout: None,
        target: None,
        use_rslora: None,
    }
}

/// Values that the adapter of one block would have over all blocks; a projection is told by its own sizes.
fn trainable(one: &Adapter, network: &Network, layers: usize) -> u64 {
    match one {
        Adapter::Prefix { encoder, .. } => {
            let base = GlmConfig { num_layers: layers, ..network.config().clone() };
            let sizes = encoder.config();
            let sizes = glm_model::adapter::PrefixConfig::new(&base, sizes.pre_seq_len, sizes.prefix_projection);
            sizes.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>() as u64).sum()
        }
        _ => (one.parameter_count(network) * layers) as u64,
    }
}

/// A row of so many tokens; which they are does not matter to its speed.
pub(super) fn row(config: &GlmConfig, prompt: usize, answer: usize) -> TrainRow {
    let ids = ids(config, prompt + answer);
    let labels = ids.iter().enumerate().map(|(i, id)| if i < prompt { IGNORE_INDEX } else { i64::from(*id) }).collect();
    TrainRow { ids, labels, context_len: prompt, positions: positions(config, prompt), source: 0 }
}

/// Ids of the vocabulary.
pub(super) fn ids(config: &GlmConfig, count: usize) -> Vec<u32> {
    (0..count).map(|i| (i.wrapping_mul(7919) % config.vocab_size.max(1)) as u32).collect()
}

/// Where the tokens of a prompt and its answer stand: ChatGLM-6B's prompt ends with its mask token and `<sop>`.
pub(super) fn positions(config: &GlmConfig, prompt: usize) -> Positions {
    match config.variant {
        Variant::ChatGlm => {
            Positions::Block { context_len: prompt.saturating_sub(1), mask_position: prompt.saturating_sub(2) }
        }
        Variant::ChatGlm2 | Variant::ChatGlm3 => Positions::Linear,
    }
}
