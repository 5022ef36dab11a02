//! ChatGLM-6B, the first generation: LayerNorm, GELU, scaled residual sums, two rows of positions, one matrix for embedding
//! and output.

use super::knobs::{Activation, Knobs, NormKind, QkvLayout, Residual, Rotary};
use crate::config::{GlmConfig, Keys};
use glm_data::Variant;
use serde_json::{Map, Value, json};

/// Blocks that the residual factor is made for. The official model never passes its own number, so this holds at any depth.
const BLOCKS_OF_ALPHA: f32 = 28.0;

/// Knobs from `config.json`.
///
/// # Errors
/// A sentence that names the key.
pub fn config(raw: Map<String, Value>) -> Result<GlmConfig, String> {
    let keys = Keys(&raw);
    for (key, supported) in [
        ("position_encoding_2d", true),
        ("tie_word_embeddings", true),
        // The chatglm-6b-int4-qe folder.
        ("quantization_embeddings", false),
    ] {
        if keys.flag(key, supported)? != supported {
            return Err(format!("{key} is {}, only {supported} is supported for ChatGLM-6B", !supported));
        }
    }
    let (hidden, heads) = (keys.size("hidden_size")?, keys.size("num_attention_heads")?);
    if !hidden.is_multiple_of(heads) || !(hidden / heads).is_multiple_of(4) {
        return Err(format!(
            "hidden_size {hidden} does not give num_attention_heads {heads} heads of a multiple of 4 values \
             (both halves of a head are rotated in pairs)"
        ));
    }
    let vocab_size = keys.size("vocab_size")?;
    for key in ["bos_token_id", "eos_token_id", "mask_token_id", "gmask_token_id", "pad_token_id"] {
        if keys.optional_id(key)?.is_some_and(|id| id >= vocab_size) {
            return Err(format!("{key} is outside the vocabulary of {vocab_size} (vocab_size)"));
        }
    }
    let epsilon = keys.number("layernorm_epsilon", 1e-5)?;
    if epsilon <= 0.0 {
        return Err(format!("layernorm_epsilon {epsilon} must be positive"));
    }
    Ok(GlmConfig {
        variant: Variant::ChatGlm,
        hidden_size: hidden,
        num_layers: keys.size("num_layers")?,
        num_attention_heads: heads,
        kv_groups: heads,
        head_dim: hidden / heads,
        ffn_hidden_size: keys.optional_size("inner_hidden_size")?.unwrap_or(4 * hidden),
        vocab_size,
        layernorm_epsilon: epsilon as f32,
        seq_length: keys.optional_size("max_sequence_length")?.unwrap_or(2048),
        qkv_bias: true,
        linear_bias: true,
        knobs: Knobs {
            norm: NormKind::Layer,
            activation: Activation::GeluTanh,
            residual: Residual::Normed { alpha: (2.0 * BLOCKS_OF_ALPHA).sqrt() },
            qkv: QkvLayout::Heads,
            rotary: Rotary::TwoPositions,
            tied_embeddings: true,
        },
        quantization_bit: keys.quantization_bit()?,
        raw,
    })
}

/// The `config.json` of the published ChatGLM-6B.
pub fn published() -> Map<String, Value> {
    let auto = |class: &str| format!("modeling_chatglm.{class}");
    let config = json!({
        "_name_or_path": "THUDM/chatglm-6b",
        "architectures": ["ChatGLMModel"],
        "auto_map": {
            "AutoConfig": "configuration_chatglm.ChatGLMConfig",
            "AutoModel": auto("ChatGLMForConditionalGeneration"),
            "AutoModelForSeq2SeqLM": auto("ChatGLMForConditionalGeneration"),
        },
        "bos_token_id": 130_004,
        "eos_token_id": 130_005,
        "mask_token_id": 130_000,
        "gmask_token_id": 130_001,
        "pad_token_id": 3,
        "hidden_size": 4096,
        "inner_hidden_size": 16384,
        "layernorm_epsilon": 1e-5,
        "max_sequence_length": 2048,
        "model_type": "chatglm",
        "num_attention_heads": 32,
        "num_layers": 28,
        "position_encoding_2d": true,
        "torch_dtype": "float16",
        "transformers_version": "4.23.1",
        "use_cache": true,
        "vocab_size": 130_528,
    });
    match config {
        Value::Object(config) => config,
        _ => Map::new(),
    }
}
