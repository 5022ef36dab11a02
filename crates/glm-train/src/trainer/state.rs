//! What a checkpoint holds so that a resumed run goes on exactly: the trained tensors, the moments, the place in the
//! data and the sums behind the next log entry. Random numbers need no state: each micro batch has a stream of its own.

use super::identity::Identity;
use crate::atomic;
use crate::error::{Result, TrainError};
use crate::optim::{AdamW, KINDS};
use candle_core::{Tensor, Var};
use glm_model::ops;
use glm_model::weights::{ElementType, NewTensor, WeightFolder, stream_safetensors};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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

/// What the small file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// What the run is.
    pub identity: Identity,
    /// Where it stands.
    pub place: Place,
    /// Up to how many tokens it joins micro batches, which decides how its sums are rounded.
    #[serde(default)]
    pub max_tokens_per_pass: usize,
}

/// Writes both files into a checkpoint folder in the making.
///
/// # Errors
/// When the disk refuses.
pub fn save(folder: &Path, saved: &Saved, parameters: &[(String, Var)], optimizer: &AdamW) -> Result<()> {
    let text = serde_json::to_string_pretty(saved).map_err(|e| resume(folder, e.to_string()))?;
    atomic::write_file(&folder.join(STATE_FILE), text.as_bytes())?;
    let new = |name: String, len: usize| NewTensor { name, dtype: ElementType::F32, shape: vec![len] };
    let moments: Vec<(String, &[f32])> = optimizer.state().collect();
    let tensors: Vec<NewTensor> = parameters
        .iter()
        .map(|(name, var)| new(parameter(name), var.elem_count()))
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
    if let Some(reason) = saved.identity.refusal(identity) {
        return Err(TrainError::OtherRun { path: folder.to_path_buf(), reason });
    }
    let path = folder.join(TENSORS_FILE);
    let damaged = |reason: String| {
        resume(&path, format!("damaged: {reason}. Remove this checkpoint to go on from the one before it"))
    };
    let tensors = WeightFolder::open(&path).map_err(|e| damaged(e.to_string()))?;
    // Everything is checked before anything is set: a run that is refused is left as it was.
    let mut superfluous: BTreeSet<&str> = tensors.names().filter(|name| name.starts_with(PARAMETER)).collect();
    for (name, var) in parameters {
        let (name, len) = (parameter(name), var.elem_count());
        if tensors.get(&name).is_none_or(|t| t.dtype != ElementType::F32 || t.len() != len) {
            return Err(damaged(format!("{name} is missing or not {len} f32")));
        }
        superfluous.remove(name.as_str());
    }
    if let Some(name) = superfluous.first() {
        return Err(damaged(format!("{name} does not train in this run")));
    }
    if let Some(name) = tensors.names().find(|name| tensors.get(name).is_none_or(|t| t.dtype != ElementType::F32)) {
        return Err(damaged(format!("{name} is not f32")));
    }
    let read = |name: &str, values: &mut [f32]| -> Result<()> {
        let tensor = tensors.get(name).ok_or_else(|| damaged(format!("{name} is missing")))?;
        let (floats, _) = tensor.data.as_chunks::<4>();
        values.iter_mut().zip(floats).for_each(|(v, b)| *v = f32::from_le_bytes(*b));
        tensors.release(name);
        Ok(())
    };
    let moments = tensors.names().filter(|name| !name.starts_with(PARAMETER));
    let lengths = moments.map(|name| (name, tensors.get(name).map_or(0, |t| t.len())));
    optimizer.load_state(saved.place.step, lengths, read)?;
    for (name, var) in parameters {
        let mut values = vec![0.0; var.elem_count()];
        read(&parameter(name), &mut values)?;
        var.set(&Tensor::from_vec(values, var.dims(), var.device())?)?;
    }
    Ok(saved.place)
}

/// Why a run cannot go on from a checkpoint that is whole: it was trained by another method. What is damaged, or no
/// checkpoint of ours, is left for [`load`] to tell.
pub fn other_method(folder: &Path, identity: &Identity) -> Option<TrainError> {
    let saved: Saved = serde_json::from_slice(&std::fs::read(folder.join(STATE_FILE)).ok()?).ok()?;
    let reason = saved.identity.other_method(identity)?;
    WeightFolder::open(&folder.join(TENSORS_FILE)).ok()?;
    Some(TrainError::OtherRun { path: folder.to_path_buf(), reason })
}

/// Most tokens of a pass in the run of a checkpoint folder; `None` when its small file cannot be read, which [`load`] tells.
pub fn saved_max_tokens_per_pass(folder: &Path) -> Option<usize> {
    let saved: Saved = serde_json::from_slice(&std::fs::read(folder.join(STATE_FILE)).ok()?).ok()?;
    Some(saved.max_tokens_per_pass)
}

/// Optimizer steps that the run of a checkpoint folder had done.
///
/// # Errors
/// When its small file cannot be read.
pub fn saved_step(folder: &Path) -> Result<u64> {
    let path = folder.join(STATE_FILE);
    let text = std::fs::read_to_string(&path).map_err(|e| resume(&path, e.to_string()))?;
    let saved: Saved = serde_json::from_str(&text).map_err(|e| resume(&path, format!("damaged: {e}")))?;
    Ok(saved.place.step)
}

/// What a tensor of [`TENSORS_FILE`] is, and which tensor it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorKind<'a> {
    /// A trained tensor.
    Parameter(&'a str),
    /// A moment of its optimizer.
    Moment(&'a str),
}

/// What the tensor `name` of [`TENSORS_FILE`] is; `None`: none of a training state.
pub fn tensor_kind(name: &str) -> Option<TensorKind<'_>> {
    let moment = |kind: &&str| name.strip_prefix(kind)?.strip_prefix('.');
    let parameter = name.strip_prefix(PARAMETER).map(TensorKind::Parameter);
    parameter.or_else(|| KINDS.iter().find_map(moment).map(TensorKind::Moment))
}

/// Name of the trained tensor `of` in [`TENSORS_FILE`].
pub fn parameter(of: &str) -> String {
    format!("{PARAMETER}{of}")
}

/// Names of its moments there.
pub fn moments(of: &str) -> [String; 2] {
    KINDS.map(|kind| format!("{kind}.{of}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TrainConfig;
    use crate::optim::AdamWConfig;

    fn optimizer(parameters: &[(String, Var)]) -> AdamW {
        let sizes = parameters.iter().map(|(name, var)| (name.as_str(), var.elem_count()));
        AdamW::new(AdamWConfig::from(&TrainConfig::default()), sizes)
    }

    fn parameters(value: f32) -> Vec<(String, Var)> {
        let var = |len: usize| Var::from_vec(vec![value; len], len, &candle_core::Device::Cpu).unwrap();
        vec![("a".into(), var(2)), ("b".into(), var(3))]
    }

    #[test]
    fn a_damaged_state_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (identity, saved) = (Identity::default(), parameters(2.0));
        let place = Place { step: 7, ..Place::default() };
        let state = Saved { identity: identity.clone(), place, max_tokens_per_pass: 0 };
        save(folder.path(), &state, &saved, &optimizer(&saved)).unwrap();
        let whole = std::fs::read(folder.path().join(TENSORS_FILE)).unwrap();
        // Names in the header, changed at the same length: what is checked last is missing, or something is too much.
        for (from, to) in [
            ("exp_avg_sq.b", "exp_avg_sq.c"),
            ("exp_avg.a", "exp_avg.c"),
            ("parameter.b", "parameter.c"),
            ("exp_avg.b", "parameter"),
        ] {
            let mut bytes = whole.clone();
            let at = bytes.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            std::fs::write(folder.path().join(TENSORS_FILE), bytes).unwrap();
            let now = parameters(1.0);
            let mut adamw = optimizer(&now);
            assert!(load(folder.path(), &identity, &now, &mut adamw).is_err(), "{from} → {to}");
            for (name, var) in &now {
                assert!(var.to_vec1::<f32>().unwrap().iter().all(|v| *v == 1.0), "{name} after {from} → {to}");
            }
            assert_eq!(adamw.steps_done(), 0);
        }
        std::fs::write(folder.path().join(TENSORS_FILE), whole).unwrap();
        let now = parameters(1.0);
        assert_eq!(load(folder.path(), &identity, &now, &mut optimizer(&now)).unwrap().step, 7);
        assert!(now.iter().all(|(_, var)| var.to_vec1::<f32>().unwrap().iter().all(|v| *v == 2.0)));
        assert_eq!(saved_step(folder.path()).unwrap(), 7);
    }
}
