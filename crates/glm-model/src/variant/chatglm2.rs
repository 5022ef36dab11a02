//! ChatGLM2: RMSNorm, SwiGLU, grouped key/value heads, rotary positions on the first half of each head.

use super::knobs::{Activation, Knobs, NormKind, QkvLayout, Residual, Rotary};
use crate::config::{GlmConfig, Keys};
use glm_data::Variant;
use serde_json::{Map, Value, json};

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
        // Keys of CodeGeeX2 and of early folders.
        ("interleaved_qkv", false),
        ("tie_word_embeddings", false),
    ] {
        if keys.flag(key, supported)? != supported {
            return Err(format!(
                "{key} is {}, only {supported} is supported (what the published models have)",
                !supported
            ));
        }
    }
    let (heads, groups) = (keys.size("num_attention_heads")?, keys.size("multi_query_group_num")?);
    let head_dim = keys.size("kv_channels")?;
    if heads % groups != 0 {
        return Err(format!("num_attention_heads {heads} is not a multiple of multi_query_group_num {groups}"));
    }
    if head_dim % 4 != 0 {
        return Err(format!(
            "kv_channels is {head_dim}, expected a multiple of 4 (half of each head is rotated in pairs)"
        ));
    }
    let rotated = keys.number("rotary_percent", 0.5)?;
    if rotated != 0.5 {
        return Err(format!("rotary_percent is {rotated}, only 0.5 is supported (what the published models have)"));
    }
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
        seq_length: keys.optional_size("seq_length")?.unwrap_or(32768),
        qkv_bias: keys.flag("add_bias_linear", false)? || keys.flag("add_qkv_bias", true)?,
        linear_bias: keys.flag("add_bias_linear", false)?,
        knobs: Knobs {
            norm: NormKind::Rms,
            activation: Activation::SwiGlu,
            residual: Residual::Input,
            qkv: QkvLayout::Parts,
            rotary: Rotary::HalfOfHead { base: (10000.0 * rope_ratio) as f32 },
            tied_embeddings: false,
        },
        quantization_bit: keys.quantization_bit()?,
        raw,
    })
}

/// The `config.json` of the published ChatGLM2-6B.
pub fn published() -> Map<String, Value> {
    let auto = |class: &str| format!("modeling_chatglm.{class}");
    let config = json!({
        "_name_or_path": "THUDM/chatglm2-6b",
        "model_type": "chatglm",
        "architectures": ["ChatGLMModel"],
        "auto_map": {
            "AutoConfig": "configuration_chatglm.ChatGLMConfig",
            "AutoModel": auto("ChatGLMForConditionalGeneration"),
            "AutoModelForCausalLM": auto("ChatGLMForConditionalGeneration"),
            "AutoModelForSeq2SeqLM": auto("ChatGLMForConditionalGeneration"),
            "AutoModelForSequenceClassification": auto("ChatGLMForSequenceClassification"),
        },
        "add_bias_linear": false,
        "add_qkv_bias": true,
        "apply_query_key_layer_scaling": true,
        "apply_residual_connection_post_layernorm": false,
        "attention_dropout": 0.0,
        "attention_softmax_in_fp32": true,
        "bias_dropout_fusion": true,
        "ffn_hidden_size": 13696,
        "fp32_residual_connection": false,
        "hidden_dropout": 0.0,
        "hidden_size": 4096,
        "kv_channels": 128,
        "layernorm_epsilon": 1e-5,
        "multi_query_attention": true,
        "multi_query_group_num": 2,
        "num_attention_heads": 32,
        "num_layers": 28,
        "original_rope": true,
        "padded_vocab_size": 65024,
        "post_layer_norm": true,
        "rmsnorm": true,
        "seq_length": 32768,
        "use_cache": true,
        "torch_dtype": "float16",
        "transformers_version": "4.27.1",
        "tie_word_embeddings": false,
        "eos_token_id": 2,
        "pad_token_id": 0,
    });
    match config {
        Value::Object(config) => config,
        _ => Map::new(),
    }
}
