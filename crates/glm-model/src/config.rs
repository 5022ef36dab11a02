//! The knobs of the one network. Each variant's file turns its `config.json` into them.

use crate::variant;
use crate::{ModelError, Result};
use glm_data::Variant;
use std::path::Path;

/// Everything that shapes the network.
#[derive(Debug, Clone, PartialEq)]
pub struct GlmConfig {
    /// Member of the family.
    pub variant: Variant,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of blocks.
    pub num_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key/value heads.
    pub kv_groups: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// Inner width of the MLP.
    pub ffn_hidden_size: usize,
    /// Rows of the embedding and of the output layer.
    pub vocab_size: usize,
    /// Epsilon of the norms.
    pub layernorm_epsilon: f32,
    /// Base of the rotary frequencies.
    pub rope_base: f32,
    /// Most positions that the model was trained for.
    pub seq_length: usize,
    /// Whether the fused projection has a bias.
    pub qkv_bias: bool,
    /// Whether the other linear layers have one.
    pub linear_bias: bool,
    /// Set when the linear layers are stored in the official INT4 or INT8 layout.
    pub quantization_bit: Option<u8>,
    /// The file as it was, to be written into checkpoints.
    pub raw: serde_json::Map<String, serde_json::Value>,
}

impl GlmConfig {
    /// Reads `config.json` of a folder.
    ///
    /// # Errors
    /// Names the file and the key, what was expected and what was found.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        if !path.is_file() {
            let reason = "it has no config.json; give the folder of a ChatGLM model as Hugging Face publishes it";
            return Err(ModelError::file(folder, reason));
        }
        let text = std::fs::read_to_string(&path).map_err(ModelError::io(&path))?;
        let raw: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text).map_err(|e| ModelError::file(&path, format!("not a json object: {e}")))?;
        if variant::has_chatglm3_roles(folder) {
            return Err(ModelError::file(folder, variant::CHATGLM3));
        }
        Self::from_raw(raw).map_err(|reason| ModelError::file(&path, reason))
    }

    /// Turns the keys of a `config.json` into knobs.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn from_raw(raw: serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
        match variant::recognise(&raw)? {
            Variant::ChatGlm | Variant::ChatGlm2 | Variant::ChatGlm3 => variant::chatglm2::config(raw),
        }
    }

    /// Values of a row of keys and values of one block.
    pub fn key_value_width(&self) -> usize {
        2 * self.kv_groups * self.head_dim
    }

    /// Values of a row of the fused projection.
    pub fn fused_width(&self) -> usize {
        (self.num_attention_heads + 2 * self.kv_groups) * self.head_dim
    }
}

/// Typed reading of keys, with errors that name them.
pub(crate) struct Keys<'a>(pub &'a serde_json::Map<String, serde_json::Value>);

impl Keys<'_> {
    pub(crate) fn size(&self, key: &str) -> Result<usize, String> {
        let value = self.0.get(key).ok_or_else(|| format!("{key} is missing"))?;
        // Larger sizes than any model's would only overflow later.
        value
            .as_u64()
            .filter(|n| (1..=1 << 28).contains(n))
            .map(|n| n as usize)
            .ok_or_else(|| format!("{key} is {value}, expected a positive integer"))
    }

    pub(crate) fn optional_size(&self, key: &str) -> Result<Option<usize>, String> {
        if self.absent(key) { Ok(None) } else { self.size(key).map(Some) }
    }

    pub(crate) fn number(&self, key: &str, default: f64) -> Result<f64, String> {
        match self.0.get(key) {
            None | Some(serde_json::Value::Null) => Ok(default),
            Some(value) => value.as_f64().ok_or_else(|| format!("{key} is {value}, expected a number")),
        }
    }

    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool, String> {
        match self.0.get(key) {
            None | Some(serde_json::Value::Null) => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| format!("{key} is {value}, expected true or false")),
        }
    }

    fn absent(&self, key: &str) -> bool {
        self.0.get(key).is_none_or(serde_json::Value::is_null)
    }
}
