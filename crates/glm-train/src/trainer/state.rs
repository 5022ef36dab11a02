//! What a checkpoint holds so that a resumed run goes on exactly: the trained tensors, the moments, the place in the
//! data and the sums behind the next log entry. Random numbers need no state: each micro batch has a stream of its own.

use super::Trainer;
use crate::adapter::Adapter;
use crate::atomic;
use crate::error::{Result, TrainError};
use crate::optim::AdamW;
use candle_core::{Tensor, Var};
use glm_model::adapter::LoraAdapter;
use glm_model::ops;
use glm_model::weights::{ElementType, NewTensor, WeightFolder, stream_safetensors};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

/// Name of the small file.
pub const STATE_FILE: &str = "training_state.json";
/// Name of the file with tensors and moments.
pub const TENSORS_FILE: &str = "training_state.safetensors";

/// Beginning of the name of a trained tensor in it.
const PARAMETER: &str = "parameter.";
/// Values that are turned into bytes at a time.
const PART: usize = 1 << 16;

/// What must be the same when a run goes on: otherwise its order of rows, its arithmetic or its meaning would change.
/// The length of the run, and when it logs, evaluates and saves, may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Hash of the tokens and labels of all training rows, in order.
    rows_hash: String,
    /// Everything else: what it is called, and its value.
    settings: BTreeMap<String, String>,
}

impl Identity {
    /// The identity of a run.
    pub fn new(trainer: &Trainer<'_>) -> Self {
        let c = trainer.config;
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut eat = |value: u64| hash = (hash ^ value).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        for row in trainer.rows {
            eat(row.ids.len() as u64);
            row.ids.iter().for_each(|id| eat(u64::from(*id)));
            row.labels.iter().for_each(|label| eat(*label as u64));
        }
        let (dropout, own) = match trainer.adapter {
            Adapter::Prefix { encoder, dropout } => {
                let sizes = encoder.config();
                let own = vec![
                    ("--pre_seq_len", sizes.pre_seq_len.to_string()),
                    ("--prefix_projection", sizes.prefix_projection.to_string()),
                ];
                (*dropout, own)
            }
            Adapter::Lora(adapter) => (0.0, lora_settings(adapter)),
            Adapter::Full => (0.0, vec![("the weights that train", trainer.network.trains().to_string())]),
        };
        let settings = [
            ("the base's fingerprint", trainer.network.fingerprint().to_owned()),
            ("the form of the base's weights", trainer.network.scheme().to_string()),
            ("the number of training rows", trainer.rows.len().to_string()),
            ("--per_device_train_batch_size", c.per_device_train_batch_size.to_string()),
            ("--gradient_accumulation_steps", c.gradient_accumulation_steps.to_string()),
            ("--seed", c.seed.to_string()),
            ("--data_seed", c.data_seed.map_or("that of --seed".into(), |seed| seed.to_string())),
            ("--learning_rate", c.learning_rate.to_string()),
            ("--lr_scheduler_type", format!("{:?}", c.lr_scheduler_type)),
            ("--warmup_steps", c.warmup_steps.to_string()),
            ("--warmup_ratio", c.warmup_ratio.to_string()),
            ("--optim", format!("{:?}", c.optim)),
            ("--weight_decay", c.weight_decay.to_string()),
            ("--adam_beta1", c.adam_beta1.to_string()),
            ("--adam_beta2", c.adam_beta2.to_string()),
            ("--adam_epsilon", c.adam_epsilon.to_string()),
            ("--max_grad_norm", c.max_grad_norm.to_string()),
            ("--prefix_dropout", dropout.to_string()),
        ];
        let settings = settings.into_iter().chain(own).map(|(name, value)| (name.to_owned(), value)).collect();
        Self { rows_hash: format!("{hash:016x}"), settings }
    }

    fn difference(&self, other: &Self) -> Option<String> {
        for (name, now) in &other.settings {
            match self.settings.get(name) {
                Some(before) if before == now => {}
                before => return Some(format!("{name} was {} and is {now} now", before.map_or("not known", |b| b))),
            }
        }
        if let Some((name, before)) = self.settings.iter().find(|(name, _)| !other.settings.contains_key(*name)) {
            return Some(format!("{name} was {before} and is not set now"));
        }
        (self.rows_hash != other.rows_hash)
            .then(|| "the training rows, their lengths or their columns have changed".to_owned())
    }
}

/// All that decides what a LoRA adapter computes and how it is trained.
fn lora_settings(adapter: &LoraAdapter) -> Vec<(&'static str, String)> {
    let config = adapter.config();
    let targets: Vec<&str> = config.targets.iter().map(|site| site.name()).collect();
    let layers = config.layers.as_ref().map_or("all".into(), |layers| format!("{layers:?}"));
    vec![
        ("--lora_rank", config.rank.to_string()),
        ("--lora_alpha", config.alpha.to_string()),
        ("--lora_dropout", config.dropout.to_string()),
        ("--use_rslora", config.use_rslora.to_string()),
        ("--lora_target", targets.join(",")),
        ("the blocks with LoRA", layers),
    ]
}

/// Place in the run after a completed optimizer step. Sums are kept as bits, so that no digit is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Optimizer steps done.
    pub step: u64,
    /// Micro batches done, over all epochs.
    pub micro_batches: u64,
    /// Tokens seen.
    pub tokens: u64,
    /// Sum of the losses of all steps, as bits of an f64.
    pub loss_bits: u64,
    /// Sum of the losses of the steps since the last log entry, as bits of an f64.
    pub window_bits: u64,
    /// Steps since the last log entry.
    pub window_steps: u64,
}

impl Place {
    /// Adds a step's loss to both sums.
    pub fn add_loss(&mut self, loss: f64) {
        self.loss_bits = (f64::from_bits(self.loss_bits) + loss).to_bits();
        self.window_bits = (f64::from_bits(self.window_bits) + loss).to_bits();
        self.window_steps += 1;
    }

    /// Mean loss since the last log entry, and a new window; `None` when no step was made.
    pub fn take_window(&mut self) -> Option<f64> {
        let mean = (self.window_steps > 0).then(|| f64::from_bits(self.window_bits) / self.window_steps as f64);
        self.window_bits = 0f64.to_bits();
        self.window_steps = 0;
        mean
    }

    /// Mean loss of all steps.
    pub fn mean_loss(&self) -> f64 {
        f64::from_bits(self.loss_bits) / self.step.max(1) as f64
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    identity: Identity,
    place: Place,
}

/// Writes both files into a checkpoint folder in the making.
///
/// # Errors
/// When the disk refuses.
pub fn save(
    folder: &Path,
    identity: &Identity,
    place: Place,
    parameters: &[(String, Var)],
    optimizer: &AdamW,
) -> Result<()> {
    let saved = Saved { identity: identity.clone(), place };
    let text = serde_json::to_string_pretty(&saved).map_err(|e| resume(folder, e.to_string()))?;
    atomic::write_file(&folder.join(STATE_FILE), text.as_bytes())?;
    let new = |name: String, len: usize| NewTensor { name, dtype: ElementType::F32, shape: vec![len] };
    let moments: Vec<(String, &[f32])> = optimizer.state().collect();
    let tensors: Vec<NewTensor> = parameters
        .iter()
        .map(|(name, var)| new(format!("{PARAMETER}{name}"), var.elem_count()))
        .chain(moments.iter().map(|(name, values)| new(name.clone(), values.len())))
        .collect();
    let mut content = |index: usize, out: &mut dyn Write| match parameters.get(index) {
        Some((_, var)) => ops::with_floats(var.as_tensor(), |values| write(out, values)).map_err(io::Error::other)?,
        None => write(out, moments[index - parameters.len()].1),
    };
    let path = folder.join(TENSORS_FILE);
    Ok(atomic::write_file_with(&path, |out| stream_safetensors(out, &tensors, &BTreeMap::new(), &mut content))?)
}

/// Writes values without a copy of them all.
fn write(out: &mut dyn Write, values: &[f32]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(4 * PART.min(values.len()));
    values.chunks(PART).try_for_each(|part| {
        bytes.clear();
        bytes.extend(part.iter().flat_map(|v| v.to_le_bytes()));
        out.write_all(&bytes)
    })
}

fn resume(path: &Path, reason: impl Into<String>) -> TrainError {
    TrainError::Resume { path: path.to_path_buf(), reason: reason.into() }
}

/// Puts the tensors and the moments of a checkpoint in place and returns where the run stood.
///
/// # Errors
/// When the checkpoint is damaged or belongs to another run; says what differs.
pub fn load(folder: &Path, identity: &Identity, parameters: &[(String, Var)], optimizer: &mut AdamW) -> Result<Place> {
    let path = folder.join(STATE_FILE);
    let text = std::fs::read_to_string(&path).map_err(|e| {
        resume(&path, format!("{e}. This checkpoint cannot be resumed (the Python scripts' cannot); start a new run with --ptuning_checkpoint to begin from its prefix"))
    })?;
    let saved: Saved = serde_json::from_str(&text)
        .map_err(|e| resume(&path, format!("damaged: {e}. Remove this checkpoint to go on from the one before it")))?;
    if let Some(difference) = saved.identity.difference(identity) {
        let advice = "Resume with what the run began with, or start a new run in another --output_dir";
        let reason = format!("cannot go on from here: {difference}. {advice}");
        return Err(TrainError::OtherRun { path: folder.to_path_buf(), reason });
    }
    let path = folder.join(TENSORS_FILE);
    let damaged = |reason: String| {
        resume(&path, format!("damaged: {reason}. Remove this checkpoint to go on from the one before it"))
    };
    let tensors = WeightFolder::open(&path).map_err(|e| damaged(e.to_string()))?;
    let read = |name: &str, values: &mut [f32]| -> Result<()> {
        let tensor = tensors.get(name).filter(|t| t.dtype == ElementType::F32 && t.len() == values.len());
        let tensor = tensor.ok_or_else(|| damaged(format!("{name} is missing or not {} f32", values.len())))?;
        let (floats, _) = tensor.data.as_chunks::<4>();
        values.iter_mut().zip(floats).for_each(|(v, b)| *v = f32::from_le_bytes(*b));
        tensors.release(name);
        Ok(())
    };
    for (name, var) in parameters {
        let mut values = vec![0.0; var.elem_count()];
        read(&format!("{PARAMETER}{name}"), &mut values)?;
        var.set(&Tensor::from_vec(values, var.dims(), var.device())?)?;
    }
    let moments = tensors.names().filter(|name| !name.starts_with(PARAMETER));
    let lengths = moments.map(|name| (name, tensors.get(name).map_or(0, |t| t.len())));
    optimizer.load_state(saved.place.step, lengths, read)?;
    Ok(saved.place)
}
