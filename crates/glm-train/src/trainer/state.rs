//! What a checkpoint holds so that a resumed run goes on exactly: the trained tensors, the moments, the place in the
//! data and the sums behind the next log entry. Random numbers need no state: each micro batch has a stream of its own.

use crate::error::{Result, TrainError};
use crate::optim::AdamW;
use crate::{TrainConfig, atomic};
use candle_core::{Tensor, Var};
use glm_data::TrainRow;
use glm_model::ops;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the small file.
pub const STATE_FILE: &str = "training_state.json";
/// Name of the file with tensors and moments.
pub const TENSORS_FILE: &str = "training_state.safetensors";

/// What must be the same when a run goes on: otherwise its order of rows or its meaning would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Number of training rows.
    pub rows: usize,
    /// Hash of their tokens and labels.
    pub rows_hash: String,
    /// Fingerprint of the base.
    pub base: String,
    /// `per_device_train_batch_size`.
    pub per_device_train_batch_size: usize,
    /// `gradient_accumulation_steps`.
    pub gradient_accumulation_steps: usize,
    /// `seed`.
    pub seed: u64,
    /// Seed of the order of rows.
    pub data_seed: u64,
}

impl Identity {
    /// The identity of a run.
    pub fn new(config: &TrainConfig, rows: &[TrainRow], base: &str) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut eat = |value: u64| hash = (hash ^ value).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        for row in rows {
            eat(row.ids.len() as u64);
            row.ids.iter().for_each(|id| eat(u64::from(*id)));
            row.labels.iter().for_each(|label| eat(*label as u64));
        }
        Self {
            rows: rows.len(),
            rows_hash: format!("{hash:016x}"),
            base: base.to_owned(),
            per_device_train_batch_size: config.per_device_train_batch_size,
            gradient_accumulation_steps: config.gradient_accumulation_steps,
            seed: config.seed,
            data_seed: config.data_seed.unwrap_or(config.seed),
        }
    }

    fn difference(&self, other: &Self) -> Option<String> {
        let differ = |what: &str, a: &dyn std::fmt::Display, b: &dyn std::fmt::Display| {
            Some(format!("{what} was {a} and is {b} now"))
        };
        if self.base != other.base {
            return differ("the base's fingerprint", &self.base, &other.base);
        }
        if self.rows != other.rows {
            return differ("the number of training rows", &self.rows, &other.rows);
        }
        if self.rows_hash != other.rows_hash {
            return Some("the training rows, their lengths or their columns have changed".into());
        }
        for (flag, a, b) in [
            ("--per_device_train_batch_size", self.per_device_train_batch_size, other.per_device_train_batch_size),
            ("--gradient_accumulation_steps", self.gradient_accumulation_steps, other.gradient_accumulation_steps),
            ("--seed", self.seed as usize, other.seed as usize),
            ("--data_seed", self.data_seed as usize, other.data_seed as usize),
        ] {
            if a != b {
                return differ(flag, &a, &b);
            }
        }
        None
    }
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
    let mut tensors: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, var) in parameters {
        let bytes = ops::with_floats(var.as_tensor(), bytes_of)?;
        tensors.push((format!("parameter.{name}"), bytes));
    }
    tensors.extend(optimizer.state().map(|(name, values)| (name, bytes_of(values))));
    let path = folder.join(TENSORS_FILE);
    let views = tensors
        .iter()
        .map(|(name, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .and_then(|views| safetensors::serialize(views, None))
        .map_err(|e| resume(&path, e.to_string()))?;
    Ok(atomic::write_file(&path, &views)?)
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
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
    let saved: Saved = serde_json::from_str(&text).map_err(|e| resume(&path, format!("damaged: {e}")))?;
    if let Some(difference) = saved.identity.difference(identity) {
        let advice = "Resume with what the run began with, or start a new run in another --output_dir";
        return Err(resume(folder, format!("cannot go on from here: {difference}. {advice}")));
    }
    let path = folder.join(TENSORS_FILE);
    let bytes = std::fs::read(&path).map_err(|e| resume(&path, e.to_string()))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| resume(&path, format!("damaged: {e}")))?;
    let mut moments: Vec<(String, Vec<f32>)> = Vec::new();
    let mut values: std::collections::HashMap<String, Vec<f32>> = std::collections::HashMap::new();
    for (name, view) in tensors.tensors() {
        let floats = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        match name.strip_prefix("parameter.") {
            Some(parameter) => drop(values.insert(parameter.to_owned(), floats)),
            None => moments.push((name, floats)),
        }
    }
    for (name, var) in parameters {
        let found = values.remove(name).filter(|v| v.len() == var.elem_count());
        let found = found.ok_or_else(|| resume(&path, format!("{name} is missing or not {:?}", var.dims())))?;
        var.set(&Tensor::from_vec(found, var.dims(), var.device())?)?;
    }
    optimizer.load_state(saved.place.step, moments.iter().map(|(name, v)| (name.as_str(), v.as_slice())))?;
    Ok(saved.place)
}
