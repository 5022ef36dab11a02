//! The `config.json` of an exported folder: the base's own, with what the export changed.

use crate::config::GlmConfig;
use crate::weights::ElementType;
use crate::{ModelError, Result};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Keys that make the official code add a fresh random prefix: a folder of whole weights must not have them.
const PREFIX_KEYS: [&str; 2] = ["pre_seq_len", "prefix_projection"];

/// The keys for weights kept as `dtype`, the linear layers quantized to `bits` if given.
pub(super) fn exported(config: &GlmConfig, dtype: ElementType, bits: Option<u8>) -> Map<String, Value> {
    let mut raw = config.raw.clone();
    PREFIX_KEYS.iter().for_each(|key| drop(raw.remove(*key)));
    let name = match dtype {
        ElementType::F16 => "float16",
        ElementType::BF16 => "bfloat16",
        ElementType::F64 => "float64",
        _ => "float32",
    };
    raw.insert("torch_dtype".into(), json!(name));
    match bits {
        Some(bits) => raw.insert("quantization_bit".into(), json!(bits)),
        None => raw.remove("quantization_bit"),
    };
    raw
}

/// Writes `config.json` into a folder.
pub(super) fn write(folder: &Path, raw: Map<String, Value>) -> Result<()> {
    let path = folder.join("config.json");
    std::fs::write(&path, format!("{:#}\n", Value::Object(raw))).map_err(ModelError::io(&path))
}
