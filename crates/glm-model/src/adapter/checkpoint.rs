//! Prefix files: the official `pytorch_model.bin` and its safetensors twin. What a file holds is read from its tensor
//! names and shapes, never from flags.

use super::cause;
use super::locate::{Located, locate};
use super::peft::{PROMPT_EMBEDDINGS, PeftConfig, PeftType, check_prefix_tuning};
use super::prefix::{PrefixConfig, PrefixEncoder};
use super::write;
use crate::config::GlmConfig;
use crate::weights::{WeightFolder, safetensors_metadata};
use crate::{ModelError, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Name of the official file.
pub const TORCH_FILE: &str = "pytorch_model.bin";
/// Name of the twin.
pub const SAFETENSORS_FILE: &str = "adapter.safetensors";

/// Parts of a prefix encoder.
const PARTS: [&str; 5] = ["embedding.weight", "trans.0.weight", "trans.0.bias", "trans.2.weight", "trans.2.bias"];

/// What a tensor is in a prefix encoder; `None` for all others.
fn part_name(name: &str) -> Option<&str> {
    if name == PROMPT_EMBEDDINGS {
        return Some(PARTS[0]);
    }
    let short = name.split_once("prefix_encoder.").map_or(name, |(_, rest)| rest);
    PARTS.contains(&short).then_some(short)
}

/// Whether a tensor is part of an official prefix encoder.
pub(super) fn is_prefix_part(name: &str) -> bool {
    name != PROMPT_EMBEDDINGS && part_name(name).is_some()
}

/// Whether weights are those of a prefix and nothing else.
pub fn holds_only_prefix(weights: &WeightFolder) -> bool {
    let mut names = weights.names().peekable();
    names.peek().is_some() && names.all(|name| name.contains("prefix_encoder."))
}

/// Refuses an adapter where a base is needed.
pub(crate) fn refuse_as_base(weights: &WeightFolder) -> Result<()> {
    if holds_only_prefix(weights) {
        let reason =
            "it holds only a P-Tuning prefix; give the base as --model_name_or_path and this as --ptuning_checkpoint";
        return Err(ModelError::file(weights.path(), reason));
    }
    let mut names = weights.names().peekable();
    if names.peek().is_some() && names.all(|name| name.contains("lora_")) {
        let reason =
            "it holds only a LoRA adapter; give the base as --model_name_or_path and this as --lora_checkpoint";
        return Err(ModelError::file(weights.path(), reason));
    }
    Ok(())
}

/// The tensors of a prefix as they lie on disk.
#[derive(Debug, Clone)]
pub struct PrefixFile {
    path: PathBuf,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl PrefixFile {
    /// Opens a checkpoint folder, or one file of it. Names may come with or without `transformer.prefix_encoder.`; of a
    /// whole model that was saved with its prefix inside, only the prefix is read.
    ///
    /// # Errors
    /// Names the file and what it holds instead.
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_located(locate(path)?)
    }

    pub(super) fn from_located(located: Located) -> Result<Self> {
        let Located { path, folder, weights, .. } = located;
        let mut tensors = BTreeMap::new();
        for name in weights.names() {
            let Some(short) = part_name(name) else { continue };
            let tensor =
                weights.get(name).ok_or_else(|| ModelError::file(&path, format!("tensor {name} is missing")))?;
            if name == PROMPT_EMBEDDINGS
                && let Some(config) = PeftConfig::read(&folder)?
            {
                if config.kind()? != PeftType::PrefixTuning {
                    let reason = format!("it holds {name}, but the adapter_config.json beside it says LORA");
                    return Err(ModelError::file(&path, reason));
                }
                check_prefix_tuning(&path, &config, &tensor.shape)?;
            }
            let values = tensor.all_f32().ok_or_else(|| {
                ModelError::file(&path, format!("tensor {name} holds {}, expected floats", tensor.dtype))
            })?;
            if let Some(at) = values.iter().position(|v| !v.is_finite()) {
                let reason = format!(
                    "tensor {name} holds {} at element {at}: its training diverged, so it cannot be used",
                    values[at]
                );
                return Err(ModelError::file(&path, reason));
            }
            let full = format!("transformer.prefix_encoder.{short}");
            if tensors.insert(full, (tensor.shape.clone(), values)).is_some() {
                return Err(ModelError::file(&path, format!("tensor {name}: it holds two prefixes")));
            }
        }
        match tensors.get("transformer.prefix_encoder.embedding.weight").map(|(shape, _)| shape.as_slice()) {
            Some([positions, _]) if *positions > 0 => Ok(Self { path, tensors }),
            Some(shape) => {
                let reason = format!("its prefix embedding is {shape:?}, expected positions and their width");
                Err(ModelError::file(path, reason))
            }
            None => {
                let found: Vec<&str> = weights.names().take(3).collect();
                let reason = format!(
                    "it holds no P-Tuning prefix (no prefix_encoder.embedding.weight; found {})",
                    found.join(", ")
                );
                Err(ModelError::file(path, reason))
            }
        }
    }

    fn shape(&self, part: &str) -> Option<&[usize]> {
        self.tensors.get(&format!("transformer.prefix_encoder.{part}")).map(|(shape, _)| shape.as_slice())
    }

    /// What the safetensors twin says of itself; empty for an official checkpoint.
    ///
    /// # Errors
    /// When the twin is damaged.
    pub fn metadata(&self) -> Result<BTreeMap<String, String>> {
        let twin = if self.path.is_dir() { self.path.join(SAFETENSORS_FILE) } else { self.path.clone() };
        // A torch file is a zip archive; whatever its name, all else that was opened is safetensors.
        let is_torch = |path: &Path| {
            let mut head = [0; 2];
            File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == *b"PK"
        };
        if twin.is_file() && !is_torch(&twin) {
            return safetensors_metadata(&twin);
        }
        Ok(BTreeMap::new())
    }

    /// Trained positions.
    pub fn pre_seq_len(&self) -> usize {
        self.shape("embedding.weight").map_or(0, |s| s.first().copied().unwrap_or(0))
    }

    /// Keys and values of one position in all blocks.
    pub fn width(&self) -> usize {
        let rows = self.shape("trans.2.weight").map(|shape| shape.first());
        let columns = self.shape("embedding.weight").map(|shape| shape.last());
        rows.or(columns).flatten().copied().unwrap_or(0)
    }

    /// Whether there is a projection.
    pub fn prefix_projection(&self) -> bool {
        self.shape("trans.0.weight").is_some()
    }

    /// Shapes by name.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors.iter().map(|(name, (shape, _))| (name.as_str(), shape.as_slice()))
    }

    /// Keys of the given flags that contradict the file are an error; then the prefix is built for `base`.
    ///
    /// # Errors
    /// Both shapes and the likely cause.
    pub fn load(
        &self,
        base: &GlmConfig,
        pre_seq_len: Option<usize>,
        projection: Option<bool>,
    ) -> Result<PrefixEncoder> {
        let embedding = self.shape("embedding.weight").unwrap_or_default();
        let held = format!(
            "the checkpoint {} has {embedding:?} (pre_seq_len {}, {})",
            self.path.display(),
            self.pre_seq_len(),
            if self.prefix_projection() { "with projection" } else { "no projection" },
        );
        if let Some(asked) = pre_seq_len.filter(|n| *n != self.pre_seq_len()) {
            return Err(ModelError::Setting(format!(
                "{held}; you passed --pre_seq_len {asked}. Leave the flag out: it is read from the file"
            )));
        }
        if let Some(asked) = projection.filter(|p| *p != self.prefix_projection()) {
            return Err(ModelError::Setting(format!(
                "{held}; you passed --prefix_projection {asked}. Leave the flag out: it is read from the file"
            )));
        }
        let config = PrefixConfig::new(base, self.pre_seq_len(), self.prefix_projection());
        for (name, expected) in config.tensors() {
            match self.tensors.get(&name) {
                Some((shape, _)) if *shape == expected => {}
                found => {
                    let found = found.map_or("nothing".into(), |(shape, _)| format!("{shape:?}"));
                    return Err(ModelError::Setting(format!(
                        "{held}, which does not fit this base: {name} should be {expected:?} for {} layers × {} keys and values, found {found}; {}",
                        base.num_layers,
                        base.key_value_width(),
                        cause::of_width(self.width(), base),
                    )));
                }
            }
        }
        PrefixEncoder::from_values(config, |name, _| self.tensors[name].1.clone())
    }
}

/// Writes both files into `folder`; `metadata` goes into the safetensors header. Equal prefixes give equal files.
///
/// # Errors
/// When a value is not finite (such a file is never written), or the disk refuses.
pub fn write_prefix(folder: &Path, prefix: &PrefixEncoder, metadata: &BTreeMap<String, String>) -> Result<()> {
    write::both(folder, [TORCH_FILE, SAFETENSORS_FILE], prefix.parameters(), metadata)
}
