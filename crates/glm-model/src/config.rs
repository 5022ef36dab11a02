//! The knobs of the one network. Each variant's file turns its `config.json` into them.

use crate::variant::{self, Knobs};
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
    /// Most positions that the model was trained for.
    pub seq_length: usize,
    /// Whether the fused projection has a bias.
    pub qkv_bias: bool,
    /// Whether the other linear layers have one.
    pub linear_bias: bool,
    /// What the network is made of.
    pub knobs: Knobs,
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
        let mut config = Self::from_raw(raw).map_err(|reason| ModelError::file(&path, reason))?;
        // The keys of a fine-tuned ChatGLM3 often do not tell it from ChatGLM2; its tokenizer does.
        if config.variant == Variant::ChatGlm2 && variant::has_chatglm3_roles(folder) {
            config.variant = Variant::ChatGlm3;
        }
        Ok(config)
    }

    /// Turns the keys of a `config.json` into knobs.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn from_raw(raw: serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
        match variant::recognise(&raw)? {
            Variant::ChatGlm => variant::chatglm::config(raw),
            Variant::ChatGlm2 => variant::chatglm2::config(raw),
            Variant::ChatGlm3 => variant::chatglm3::config(raw),
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

    /// A token id, which may be 0.
    pub(crate) fn optional_id(&self, key: &str) -> Result<Option<usize>, String> {
        if self.absent(key) {
            return Ok(None);
        }
        let value = &self.0[key];
        value.as_u64().map(|id| Some(id as usize)).ok_or_else(|| format!("{key} is {value}, expected a token id"))
    }

    /// Bits of the official quantized layout.
    pub(crate) fn quantization_bit(&self) -> Result<Option<u8>, String> {
        match self.optional_id("quantization_bit")? {
            None | Some(0) => Ok(None),
            Some(bits @ (4 | 8)) => Ok(Some(bits as u8)),
            Some(other) => Err(format!("quantization_bit is {other}, expected 4 or 8")),
        }
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
