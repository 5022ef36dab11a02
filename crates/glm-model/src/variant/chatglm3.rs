//! ChatGLM3: ChatGLM2's network. The 32k model has a `rope_ratio` of 50.

use super::chatglm2;
use crate::config::GlmConfig;
use glm_data::Variant;
use serde_json::{Map, Value};

/// Knobs from `config.json`.
///
/// # Errors
/// A sentence that names the key.
pub fn config(raw: Map<String, Value>) -> Result<GlmConfig, String> {
    Ok(GlmConfig { variant: Variant::ChatGlm3, ..chatglm2::config(raw)? })
}

/// The `config.json` of the published ChatGLM3-6B.
pub fn published() -> Map<String, Value> {
    let mut config = chatglm2::published();
    config.insert("_name_or_path".into(), "THUDM/chatglm3-6b".into());
    config.insert("seq_length".into(), 8192.into());
    config.insert("transformers_version".into(), "4.30.2".into());
    config
}
