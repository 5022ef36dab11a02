//! Writes a LoRA adapter as peft does, so that Python loads it.

use super::file::METADATA_KEY;
use super::{CONFIG_FILE, SAFETENSORS_FILE, TORCH_FILE};
use crate::adapter::lora::{LoraAdapter, LoraInit};
use crate::adapter::site::Site;
use crate::adapter::write;
use crate::config::GlmConfig;
use crate::{ModelError, Result};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Writes `adapter_config.json`, `adapter_model.bin` (for old releases of peft) and `adapter_model.safetensors` into
/// `folder`. `base_name` is what peft will load the base by; `metadata` goes into the safetensors header, beside the
/// settings. Equal adapters give equal files.
///
/// # Errors
/// When a value is not finite (such a file is never written), or the disk refuses.
pub fn write_lora(
    folder: &Path,
    adapter: &LoraAdapter,
    base: &GlmConfig,
    base_name: &str,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let mut metadata = metadata.clone();
    let settings = serde_json::to_string(adapter.config()).map_err(|e| ModelError::Setting(e.to_string()))?;
    metadata.insert(METADATA_KEY.into(), settings);
    // Hugging Face's loaders ask for it.
    metadata.insert("format".into(), "pt".into());
    write::both(folder, [TORCH_FILE, SAFETENSORS_FILE], adapter.parameters(), &metadata)?;
    let path = folder.join(CONFIG_FILE);
    let text = serde_json::to_string_pretty(&config(adapter, base, base_name))
        .map_err(|e| ModelError::Setting(e.to_string()))?;
    std::fs::write(&path, text).map_err(ModelError::io(&path))
}

/// The settings, sorted by key as peft sorts them.
fn config(adapter: &LoraAdapter, base: &GlmConfig, base_name: &str) -> BTreeMap<&'static str, Value> {
    let config = adapter.config();
    let (targets, layers) = targets(adapter, base);
    let mut keys = BTreeMap::from([
        ("auto_mapping", Value::Null),
        ("base_model_name_or_path", json!(base_name)),
        ("bias", json!("none")),
        ("fan_in_fan_out", json!(false)),
        ("inference_mode", json!(true)),
        ("init_lora_weights", if config.init == LoraInit::Gaussian { json!("gaussian") } else { json!(true) }),
        ("layers_pattern", Value::Null),
        ("layers_to_transform", json!(layers)),
        ("lora_alpha", number(config.alpha)),
        // The shortest decimal, as the flag was given, not that of the wider type.
        ("lora_dropout", json!(config.dropout.to_string().parse::<f64>().unwrap_or_default())),
        ("modules_to_save", Value::Null),
        ("peft_type", json!("LORA")),
        ("r", json!(config.rank)),
        ("revision", Value::Null),
        ("target_modules", json!(targets)),
        ("task_type", json!("CAUSAL_LM")),
    ]);
    if config.use_rslora {
        keys.insert("use_rslora", json!(true));
    }
    keys
}

/// A whole number without a point, as Python writes an integer.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

/// `target_modules` and `layers_to_transform`: the same layers in every chosen block, or else each module by its full name.
fn targets(adapter: &LoraAdapter, base: &GlmConfig) -> (Vec<String>, Option<Vec<usize>>) {
    let layers: BTreeSet<usize> = adapter.places().iter().map(|(layer, _)| *layer).collect();
    let sites: BTreeSet<Site> = adapter.places().iter().map(|(_, site)| *site).collect();
    if layers.len() * sites.len() != adapter.places().len() {
        return (adapter.places().iter().map(|(layer, site)| site.module(base, *layer)).collect(), None);
    }
    let some = (layers.len() < adapter.num_layers()).then(|| layers.into_iter().collect());
    (sites.iter().map(|site| site.name().to_owned()).collect(), some)
}
