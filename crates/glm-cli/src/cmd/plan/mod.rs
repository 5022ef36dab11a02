//! `glmtune plan`: memory and time of a training before it is started.

mod show;
mod time;
mod work;

use super::threads;
use super::train::training_rows;
use super::{base, output};
use crate::config::RunConfig;
use anyhow::bail;
use glm_train::memory::{self, Prediction, predict};
use glm_train::schedule::RunLength;
use glm_train::{Checkpointing, TrainConfig};
use serde::Serialize;
use work::Lengths;

/// What is predicted.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// Name of the variant, layers, width.
    base: String,
    /// What trains.
    method: String,
    /// Form of the linear layers.
    scheme: String,
    /// Trainable values.
    trainable: u64,
    /// Rows and tokens.
    lengths: Lengths,
    /// Steps of one epoch.
    steps_per_epoch: u64,
    /// Steps of the run.
    total_steps: u64,
    /// Micro batches of the run.
    micro_batches: u64,
    /// Blocks whose activations are kept.
    kept_blocks: usize,
    /// Bytes of the run as asked for.
    memory: Prediction,
    /// Their peak.
    peak: u64,
    /// Bytes of the keys and values of a batch of answers of full length, in an evaluation after training.
    kv_cache: u64,
    /// Bytes that are free.
    free: Option<u64>,
    /// The same run in other forms.
    alternatives: Vec<Alternative>,
    /// The quantized form that is kept of the base, if one is.
    quantized_form: Option<QuantizedForm>,
    /// Time; `None` when it was not measured.
    time: Option<time::Time>,
}

/// The quantized form of the base on disk.
#[derive(Debug, Serialize)]
struct QuantizedForm {
    path: String,
    bytes: u64,
    /// Whether it is there; else the run writes it.
    there: bool,
}

/// The run in another form.
#[derive(Debug, Serialize)]
struct Alternative {
    scheme: String,
    recompute: bool,
    peak: u64,
}

/// Runs it.
///
/// # Errors
/// Names the file, line or flag, and what to do.
pub fn run(settings: RunConfig, json: bool, measure: bool) -> anyhow::Result<()> {
    threads::set(settings.threads)?;
    let prepared = base::prepare(&settings.base, settings.adapter.as_ref())?;
    let Some(adapter) = &settings.adapter else { bail!("--method none: there is nothing to train") };
    let rows = training_rows(&settings, &prepared.tokenizer)?;
    let length = RunLength::new(rows.len(), &settings.train)?;
    let batch = settings.train.per_device_train_batch_size;
    let lengths = Lengths::of(&rows, batch);
    let forms = (base::scheme(&settings.base), base::output_layer(&settings.base));
    let base = prepared.about()?;
    let free = memory::available();
    let work = work::workload(&base, adapter, forms, &lengths, &settings.train, free)?;
    let otherwise = |checkpointing| {
        let train = TrainConfig { checkpointing, ..settings.train.clone() };
        work::workload(&base, adapter, forms, &lengths, &train, free)
    };
    let (recomputed, kept) = (otherwise(Checkpointing::Always)?, otherwise(Checkpointing::Never)?);
    let kept_blocks = work.kept_blocks;
    let memory = predict(&work);
    let micro_batches = length.total_steps * settings.train.gradient_accumulation_steps as u64;
    let time = if measure {
        let recompute = kept_blocks < base.config.num_layers;
        Some(time::measure(prepared, &settings, &rows, recompute, (length.total_steps, micro_batches), &work)?)
    } else {
        None
    };
    let plan = Plan {
        base: format!(
            "{}, {} layers × {}",
            base.config.variant.name(),
            base.config.num_layers,
            base.config.hidden_size
        ),
        method: work::describe(adapter, &work),
        scheme: work.scheme.to_string(),
        trainable: work.trainable,
        steps_per_epoch: length.steps_per_epoch,
        total_steps: length.total_steps,
        micro_batches,
        kept_blocks,
        peak: memory.peak(),
        memory,
        kv_cache: settings.train.per_device_eval_batch_size as u64
            * (settings.data.max_source_length + settings.data.max_target_length) as u64
            * (base.config.num_layers * base.config.key_value_width() * size_of::<f32>()) as u64,
        free,
        alternatives: work::alternatives([&recomputed, &kept], adapter, base.config.quantization_bit),
        quantized_form: base.quantized.as_ref().map(|file| QuantizedForm {
            path: file.path().display().to_string(),
            bytes: file.bytes(),
            there: file.is_current(),
        }),
        lengths,
        time,
    };
    if json { output::print(&serde_json::to_string_pretty(&plan)?) } else { output::print(&show::text(&plan)?) }
}
