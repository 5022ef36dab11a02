//! ChatGLM2: RMSNorm, SwiGLU, grouped key/value heads, rotary positions on the first half of each head.

use crate::config::{GlmConfig, Keys};
use glm_data::Variant;
use serde_json::{Map, Value};

/// Knobs from `config.json`.
///
/// # Errors
/// A sentence that names the key.
pub fn config(raw: Map<String, Value>) -> Result<GlmConfig, String> {
    let keys = Keys(&raw);
    for (key, supported) in [
        ("rmsnorm", true),
        ("post_layer_norm", true),
        ("apply_residual_connection_post_layernorm", false),
        ("multi_query_attention", true),
    ] {
        if keys.flag(key, supported)? != supported {
            return Err(format!("{key} is {}, only {supported} is supported (what the published models have)", !supported));
        }
    }
    let (heads, groups) = (keys.size("num_attention_heads")?, keys.size("multi_query_group_num")?);
    let head_dim = keys.size("kv_channels")?;
    if heads % groups != 0 {
        return Err(format!("num_attention_heads {heads} is not a multiple of multi_query_group_num {groups}"));
    }
    if head_dim % 4 != 0 {
        return Err(format!("kv_channels is {head_dim}, expected a multiple of 4 (half of each head is rotated in pairs)"));
    }
    let quantization_bit = match keys.0.get("quantization_bit").and_then(Value::as_u64) {
        None | Some(0) => None,
        Some(bits @ (4 | 8)) => Some(bits as u8),
        Some(other) => return Err(format!("quantization_bit is {other}, expected 4 or 8")),
    };
    let rope_ratio = keys.number("rope_ratio", 1.0)?;
    let epsilon = keys.number("layernorm_epsilon", 1e-5)?;
    if !(rope_ratio > 0.0 && epsilon > 0.0) {
        return Err(format!("rope_ratio {rope_ratio} and layernorm_epsilon {epsilon} must be positive"));
    }
    Ok(GlmConfig {
        variant: Variant::ChatGlm2,
        hidden_size: keys.size("hidden_size")?,
        num_layers: keys.size("num_layers")?,
        num_attention_heads: heads,
        kv_groups: groups,
        head_dim,
        ffn_hidden_size: keys.size("ffn_hidden_size")?,
        vocab_size: keys.size("padded_vocab_size")?,
        layernorm_epsilon: epsilon as f32,
        rope_base: (10000.0 * rope_ratio) as f32,
        seq_length: keys.optional_size("seq_length")?.unwrap_or(32768),
        qkv_bias: keys.flag("add_bias_linear", false)? || keys.flag("add_qkv_bias", true)?,
        linear_bias: keys.flag("add_bias_linear", false)?,
        quantization_bit,
        raw,
    })
}

/// Where tensors of this variant are found.
pub mod names {
    /// Embedding, `[vocab, hidden]`.
    pub const EMBEDDING: &str = "transformer.embedding.word_embeddings.weight";
    /// Last norm, `[hidden]`.
    pub const FINAL_NORM: &str = "transformer.encoder.final_layernorm.weight";
    /// Output layer, `[vocab, hidden]`.
    pub const OUTPUT: &str = "transformer.output_layer.weight";
    /// Stored but never read: frequencies are computed.
    pub const IGNORED: &str = "transformer.rotary_pos_emb.inv_freq";

    /// A module of block `layer`.
    pub fn block(layer: usize, module: &str) -> String {
        format!("transformer.encoder.layers.{layer}.{module}")
    }
}
