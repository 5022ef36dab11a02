//! Opens any adapter: what it is follows from its tensors, not from the name of its file.

use super::checkpoint::{PrefixFile, is_prefix_part};
use super::locate::{Located, locate};
use super::lora::LoraAdapter;
use super::peft::{LoraFile, PROMPT_EMBEDDINGS};
use super::prefix::PrefixEncoder;
use crate::config::GlmConfig;
use crate::{ModelError, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// An adapter as it lies on disk.
#[derive(Debug, Clone)]
pub enum AdapterFile {
    /// Keys and values in front of every block's own (P-Tuning v2, peft's PREFIX_TUNING).
    Prefix(PrefixFile),
    /// Additions to linear layers.
    Lora(LoraFile),
}

/// An adapter that was built for a base.
#[derive(Debug, Clone)]
pub enum LoadedAdapter {
    /// A prefix.
    Prefix(PrefixEncoder),
    /// Additions to linear layers.
    Lora(LoraAdapter),
}

/// Opens an adapter folder or file: ours, an official prefix checkpoint (with or without `transformer.prefix_encoder.` in
/// its names), a whole model that was saved with its prefix inside, peft's LoRA or PREFIX_TUNING. Of a whole model only the
/// adapter's own tensors are read.
///
/// # Errors
/// Names the file and what it holds instead.
pub fn open(path: &Path) -> Result<AdapterFile> {
    let located = locate(path)?;
    if located.weights.names().next().is_none() {
        return Err(ModelError::file(
            &located.file,
            "it holds no tensors: the adapter was saved empty, as happens when the saving script replaced the model's \
             state_dict. Take an earlier checkpoint, or train again",
        ));
    }
    let has = |part: &str| located.weights.names().any(|name| name.contains(part));
    if has("lora_") {
        return LoraFile::from_located(located).map(AdapterFile::Lora);
    }
    let has_prefix = |name: &str| name == PROMPT_EMBEDDINGS || is_prefix_part(name);
    if located.weights.names().any(has_prefix) {
        return PrefixFile::from_located(located).map(AdapterFile::Prefix);
    }
    Err(stranger(&located))
}

fn stranger(located: &Located) -> ModelError {
    if located.weights.names().any(|name| name.ends_with("word_embeddings.weight")) {
        let reason = "it is a whole model without an adapter inside; give it as --model_name_or_path";
        return ModelError::misplaced(&located.path, reason);
    }
    let found: Vec<&str> = located.weights.names().take(3).collect();
    let reason = format!(
        "it holds no adapter that is known: neither a P-Tuning prefix (prefix_encoder.embedding.weight) nor LoRA (lora_A, \
         lora_B); found {}",
        found.join(", ")
    );
    ModelError::misplaced(&located.path, reason)
}

impl AdapterFile {
    /// What kind it is, in words that follow "it holds".
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Prefix(_) => "a P-Tuning prefix",
            Self::Lora(_) => "LoRA",
        }
    }

    /// What a safetensors file says of itself; empty for others.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn metadata(&self) -> Result<BTreeMap<String, String>> {
        match self {
            Self::Prefix(file) => file.metadata(),
            Self::Lora(file) => file.metadata(),
        }
    }

    /// Builds the adapter for `base`.
    ///
    /// # Errors
    /// Both shapes and the likely cause when it was trained on another base.
    pub fn load(&self, base: &GlmConfig) -> Result<LoadedAdapter> {
        Ok(match self {
            Self::Prefix(file) => LoadedAdapter::Prefix(file.load(base, None, None)?),
            Self::Lora(file) => LoadedAdapter::Lora(file.load(base)?),
        })
    }
}
