//! What a checkpoint holds besides the loop's own files: the adapter in the form of the official script or of peft, or
//! a whole model, and what is needed to know where it came from.

mod full;
mod metadata;
mod verify;

pub use verify::verify;

use super::base::Loaded;
use crate::config::RunConfig;
use anyhow::Context;
use glm_data::Rows;
use glm_model::adapter::{TORCH_FILE, peft, write_lora, write_prefix};
use glm_model::companions;
use glm_train::{Adapter, TrainError, run_dir, trainer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file without which a checkpoint is not complete.
pub fn main_file(adapter: &Adapter) -> &'static str {
    match adapter {
        Adapter::Prefix { .. } => TORCH_FILE,
        Adapter::Lora(_) => peft::SAFETENSORS_FILE,
        Adapter::Full => "config.json",
    }
}

/// Writes checkpoints of one run.
pub struct CheckpointWriter<'a> {
    base: &'a Loaded,
    adapter: &'a Adapter,
    /// What Python will load the base by.
    base_name: String,
    config_json: String,
    metadata: BTreeMap<String, String>,
}

impl<'a> CheckpointWriter<'a> {
    /// Prepares what is the same in every checkpoint.
    pub fn new(settings: &RunConfig, base: &'a Loaded, adapter: &'a Adapter, rows: &Rows, data_sha256: String) -> Self {
        let mut config = base.network.config().raw.clone();
        if let Adapter::Prefix { encoder, .. } = adapter {
            config.insert("pre_seq_len".into(), json!(encoder.config().pre_seq_len));
            config.insert("prefix_projection".into(), json!(encoder.config().prefix_projection));
            // As the official script: a checkpoint that was trained over a quantized base says so.
            if let Some(bits) = settings.base.quantization.and_then(|q| q.official_bits()) {
                config.insert("quantization_bit".into(), json!(bits));
            }
        }
        Self {
            base,
            adapter,
            base_name: settings.base.path.display().to_string(),
            config_json: format!("{:#}\n", Value::Object(config)),
            metadata: metadata::of(settings, &base.network, adapter, rows, data_sha256),
        }
    }

    /// Writes the trained part of a checkpoint into `folder`.
    ///
    /// # Errors
    /// When the disk refuses or a value is not finite.
    pub fn write(&self, folder: &Path) -> glm_train::Result<()> {
        match self.adapter {
            Adapter::Prefix { encoder, .. } => {
                write_prefix(folder, encoder, &self.metadata)?;
                self.write_config(folder)?;
            }
            Adapter::Lora(lora) => {
                write_lora(folder, lora, self.base.network.config(), &self.base_name, &self.metadata)?;
            }
            // Its own tokenizer files are written with it.
            Adapter::Full => return full::write(self.base, folder),
        }
        companions::copy(&self.base.folder, folder, companions::is_tokenizer)?;
        Ok(())
    }

    fn write_config(&self, folder: &Path) -> glm_train::Result<()> {
        let path = folder.join("config.json");
        std::fs::write(&path, &self.config_json).map_err(io(path))
    }
}

/// Puts the trained part of a checkpoint into the output folder itself too, where chatglm_tuning's scripts leave it.
///
/// # Errors
/// When the disk refuses.
pub fn place_in(output: &Path, checkpoint: &Path) -> anyhow::Result<()> {
    let loops = [trainer::STATE_FILE, trainer::TENSORS_FILE, run_dir::TRAINER_STATE];
    let mut placed = Vec::new();
    for entry in std::fs::read_dir(checkpoint)? {
        let from = entry?.path();
        let Some(name) = from.file_name().filter(|name| loops.iter().all(|own| name != own)) else { continue };
        let to = output.join(name);
        let beside = output.join(format!(".{}.new", name.to_string_lossy()));
        let _ = std::fs::remove_file(&beside);
        // Files are never changed in place, so one copy on the disk serves both folders.
        if std::fs::hard_link(&from, &beside).is_err() {
            std::fs::copy(&from, &beside).with_context(|| beside.display().to_string())?;
        }
        std::fs::rename(&beside, &to).with_context(|| to.display().to_string())?;
        // A rename onto another link of the same file does nothing.
        let _ = std::fs::remove_file(&beside);
        placed.push(to);
    }
    // What an earlier run of another method left here would be taken for this one's. It is still in that run's checkpoint.
    for entry in std::fs::read_dir(output)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let weights = ["pytorch_model", "model-", "model.safetensors", "adapter_model.", "adapter.safetensors"];
        let stale = weights.iter().any(|start| name.starts_with(start)) || name == "adapter_config.json";
        if stale && path.is_file() && !placed.contains(&path) {
            std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

fn io(path: PathBuf) -> impl FnOnce(std::io::Error) -> TrainError {
    move |source| TrainError::Io { path, source }
}
