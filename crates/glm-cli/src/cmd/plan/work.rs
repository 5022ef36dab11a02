//! From settings and rows to what decides memory.

use super::Alternative;
use crate::cmd::base::About;
use crate::config::adapter::AdapterConfig;
use glm_data::{IGNORE_INDEX, TrainRow};
use glm_model::adapter::{LoraConfig, PrefixConfig, parse_targets};
use glm_model::glm::layout;
use glm_model::{DenseType, GlmConfig, Scheme};
use glm_train::memory::{Workload, predict};
use glm_train::{Checkpointing, TrainConfig, lora_activations, memory, pass, prefix_activations};
use serde::Serialize;

/// Rows and tokens of the training file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lengths {
    /// Rows.
    pub rows: usize,
    /// Tokens of one epoch.
    pub tokens: u64,
    /// Supervised tokens of one epoch.
    pub supervised: u64,
    /// Tokens of the longest row.
    pub longest: usize,
    /// Most tokens of a micro batch.
    pub most_tokens: usize,
    /// Most supervised tokens of a micro batch.
    pub most_targets: usize,
}

impl Lengths {
    /// Counts them. The largest micro batch is made of the longest rows: shuffling may put them together.
    pub fn of(rows: &[TrainRow], batch: usize) -> Self {
        let largest = |mut sizes: Vec<usize>| -> usize {
            sizes.sort_unstable_by(|a, b| b.cmp(a));
            sizes.iter().take(batch).sum()
        };
        let targets = |row: &TrainRow| row.labels.iter().skip(1).filter(|label| **label != IGNORE_INDEX).count();
        let (lengths, scored): (Vec<usize>, Vec<usize>) = rows.iter().map(|row| (row.ids.len(), targets(row))).unzip();
        Self {
            rows: rows.len(),
            tokens: lengths.iter().sum::<usize>() as u64,
            supervised: scored.iter().sum::<usize>() as u64,
            longest: lengths.iter().copied().max().unwrap_or(0),
            most_tokens: largest(lengths),
            most_targets: largest(scored),
        }
    }
}

/// The largest pass through the network: a micro batch, or several that go together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Largest {
    /// Rows.
    pub rows: usize,
    /// Tokens.
    pub tokens: usize,
    /// Supervised tokens.
    pub targets: usize,
}

impl Lengths {
    /// A micro batch of the longest rows.
    fn micro_batch(&self, rows: usize) -> Largest {
        Largest { rows, tokens: self.most_tokens, targets: self.most_targets }
    }

    /// Micro batches of `rows` rows, at most `accumulation`, that go together up to `most` tokens.
    fn pass(&self, rows: usize, accumulation: usize, most: usize) -> Largest {
        let one = self.micro_batch(rows);
        let tokens = most.min(accumulation * one.tokens).max(one.tokens);
        if accumulation == 1 || most == 0 {
            return one;
        }
        // As many targets as rows with the most have of their tokens.
        let targets = (one.targets * tokens).div_ceil(one.tokens.max(1));
        Largest { rows: self.usual_rows(tokens).clamp(rows, rows * accumulation), tokens, targets }
    }

    /// Rows of usual length in so many tokens.
    fn usual_rows(&self, tokens: usize) -> usize {
        (tokens as u64 * self.rows as u64).div_ceil(self.tokens.max(1)) as usize
    }
}

/// What decides the memory of the run, with as many blocks kept as the trainer will keep. `forms` are those of the linear
/// layers and, where it is quantized, of the output layer; `free` is the free memory.
///
/// # Errors
/// When LoRA names a layer that the base does not have.
pub fn workload<'a>(
    base: &'a About,
    adapter: &AdapterConfig,
    forms: (Scheme, Option<Scheme>),
    lengths: &Lengths,
    train: &TrainConfig,
    free: Option<u64>,
) -> anyhow::Result<Workload<'a>> {
    let batch = train.per_device_train_batch_size;
    let one = of_pass(base, adapter, forms, lengths, lengths.micro_batch(batch))?;
    // What is free when training starts, with the base in memory.
    let held = predict(&one);
    let free = free.map(|free| free.saturating_sub(held.weights + held.adapter));
    let drops_out = match (adapter, &base.adapter) {
        (_, Some(glm_train::Adapter::Prefix { dropout, .. })) => *dropout > 0.0,
        (AdapterConfig::Ptuning { dropout, .. }, None) => *dropout > 0.0,
        _ => false,
    };
    let each = |tokens: usize| {
        let largest = Largest { tokens, ..lengths.micro_batch(batch) };
        let added = of_pass(base, adapter, forms, lengths, largest).map_or(0, |work| work.added_activations);
        let rows = lengths.usual_rows(tokens).max(batch);
        let prefix = if drops_out {
            prefix_activations(one.prefix_values as usize / one.config.num_layers.max(1), rows)
        } else {
            0
        };
        memory::block_activations(one.config, tokens) + added + prefix
    };
    let most = pass::max_tokens(train, one.tokens, |tokens| each(tokens) * one.config.num_layers as u64, free);
    let work = of_pass(base, adapter, forms, lengths, lengths.pass(batch, train.gradient_accumulation_steps, most))?;
    let budget = match train.checkpointing {
        Checkpointing::Always => 0,
        Checkpointing::Never => u64::MAX,
        Checkpointing::Auto => train.activation_budget.unwrap_or_else(|| memory::activation_budget(free)),
    };
    let kept = usize::try_from(budget / each(work.tokens).max(1)).unwrap_or(usize::MAX).min(work.config.num_layers);
    Ok(Workload { kept_blocks: kept, ..work })
}

fn of_pass<'a>(
    base: &'a About,
    adapter: &AdapterConfig,
    (scheme, output_layer): (Scheme, Option<Scheme>),
    lengths: &Lengths,
    largest: Largest,
) -> anyhow::Result<Workload<'a>> {
    let config = &base.config;
    let mut work = Workload {
        config,
        scheme: config
            .quantization_bit
            .map_or(Ok(scheme), |bits| scheme.over_stored(bits))
            .map_err(anyhow::Error::msg)?,
        output_layer,
        stored_bytes: base.stored_bytes,
        trainable: 0,
        prefix_values: 0,
        largest_trainable: 0,
        base_trains: false,
        backward_blocks: config.num_layers,
        added_activations: 0,
        rows: largest.rows,
        tokens: largest.tokens,
        longest: lengths.longest,
        targets: largest.targets,
        kept_blocks: 0,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let prefix = |length: usize, projection: bool, work: &mut Workload<'_>| {
        let sizes = PrefixConfig::new(config, length, projection);
        let counts = || sizes.tensors().into_iter().map(|(_, shape)| shape.iter().product::<usize>() as u64);
        work.trainable = counts().sum();
        work.largest_trainable = counts().max().unwrap_or(0);
        work.prefix_values = (length * sizes.width()) as u64;
    };
    match (adapter, &base.adapter) {
        (_, Some(opened)) => match opened {
            glm_train::Adapter::Prefix { encoder, .. } => {
                let sizes = encoder.config();
                prefix(sizes.pre_seq_len, sizes.prefix_projection, &mut work);
            }
            glm_train::Adapter::Lora(lora) => {
                let counts = || lora.parameters().iter().map(|(_, var)| var.elem_count() as u64);
                work.trainable = counts().sum();
                work.largest_trainable = counts().max().unwrap_or(0);
                work.added_activations = lora_activations(lora.config(), config, work.tokens);
            }
            _ => {}
        },
        (AdapterConfig::Ptuning { pre_seq_len, prefix_projection, .. }, None) => {
            prefix(pre_seq_len.unwrap_or(0), prefix_projection.unwrap_or(false), &mut work);
        }
        (AdapterConfig::Lora { rank, target, dropout, .. }, None) => {
            let usual = LoraConfig::default();
            let lora = LoraConfig {
                rank: rank.unwrap_or(usual.rank),
                dropout: dropout.unwrap_or(usual.dropout),
                targets: target.as_deref().map_or(Ok(usual.targets), |names| parse_targets(names, config))?,
                ..LoraConfig::default()
            };
            let place = |(_, site): &(usize, glm_model::adapter::Site)| {
                lora.rank as u64 * site.shape(config).iter().sum::<usize>() as u64
            };
            work.trainable = lora.places(config).iter().map(place).sum();
            work.added_activations = lora_activations(&lora, config, work.tokens);
        }
        (AdapterConfig::Full, None) => {
            work.trainable = layout::parameter_count(config);
            work.largest_trainable = (config.vocab_size * config.hidden_size) as u64;
            work.base_trains = true;
            work.added_activations = rounded_copies(config, scheme) + memory::trained_activations(config, work.tokens);
            work.scheme = Scheme::Dense { dtype: Some(DenseType::F32) };
        }
        (AdapterConfig::Freeze { num_layer_trainable }, None) => {
            let trained = (*num_layer_trainable).min(config.num_layers) as u64;
            work.trainable = block_values(config) * trained;
            let sizes = |(_, [out, inner], _): &(_, [usize; 2], _)| (*out * *inner) as u64;
            work.largest_trainable = layout::linears(config).iter().map(sizes).max().unwrap_or(0);
            work.base_trains = true;
            work.backward_blocks = *num_layer_trainable;
            work.added_activations = rounded_copies(config, scheme) + memory::trained_activations(config, work.tokens);
            // Only their form differs: what trains is f32.
            work.scheme = Scheme::Dense { dtype: None };
        }
        (AdapterConfig::FromFile { .. }, None) => {}
    }
    Ok(work)
}

/// Weights of one block.
fn block_values(config: &GlmConfig) -> u64 {
    let count = |num_layers| layout::parameter_count(&GlmConfig { num_layers, ..config.clone() });
    count(1) - count(0)
}

/// Bytes of the rounded copies of a block's weights that its tape holds when they train as bf16.
fn rounded_copies(config: &GlmConfig, scheme: Scheme) -> u64 {
    if scheme.dense_type() == Some(DenseType::Bf16) { 4 * block_values(config) } else { 0 }
}

/// What trains, in a few words.
pub fn describe(adapter: &AdapterConfig, work: &Workload<'_>) -> String {
    match adapter {
        AdapterConfig::Full => "all weights".into(),
        AdapterConfig::Freeze { num_layer_trainable } => format!("the last {num_layer_trainable} layers"),
        _ if work.prefix_values > 0 => "prefix (P-Tuning v2)".into(),
        _ => "LoRA".into(),
    }
}

/// The run over other forms of the base: as it is when all activations are recomputed, and as it is when all are kept.
pub fn alternatives(
    [recomputed, kept]: [&Workload<'_>; 2],
    adapter: &AdapterConfig,
    stored: Option<u8>,
) -> Vec<Alternative> {
    let as_stored = Scheme::Dense { dtype: None };
    let schemes: Vec<Scheme> = match (adapter, stored) {
        (AdapterConfig::Full, _) => vec![kept.scheme],
        (AdapterConfig::Freeze { .. }, _) => vec![as_stored],
        (_, Some(_)) => vec![kept.scheme],
        _ => vec![Scheme::Int4, Scheme::Int8, as_stored, Scheme::Dense { dtype: Some(DenseType::F32) }],
    };
    let forms = schemes.into_iter().flat_map(|scheme| [(scheme, true), (scheme, false)]);
    forms
        .map(|(scheme, recompute)| {
            let (work, kept_blocks) = if recompute { (recomputed, 0) } else { (kept, kept.config.num_layers) };
            let peak = predict(&Workload { scheme, kept_blocks, ..work.clone() }).peak();
            Alternative { scheme: scheme.to_string(), recompute, peak }
        })
        .collect()
}
