//! The keys that llama.cpp reads: sizes of the network, vocabulary, template.

use super::GgufOptions;
use super::file::{Metadata, Value};
use super::types::GgufType;
use super::vocabulary::Vocabulary;
use crate::GlmConfig;
use crate::variant::Rotary;

const ARCHITECTURE: &str = "chatglm";
/// Version of the block formats.
const QUANTIZATION_VERSION: u32 = 2;

/// All keys of a file.
pub(super) fn metadata(
    config: &GlmConfig,
    vocabulary: &Vocabulary,
    template: String,
    options: &GgufOptions,
) -> Metadata {
    let own = config.raw.get("_name_or_path").and_then(|name| name.as_str()).unwrap_or(config.variant.name());
    let name = options.name.clone().unwrap_or_else(|| own.to_string());
    let size = |n: usize| Value::U32(u32::try_from(n).unwrap_or(u32::MAX));
    let text = |text: &str| Value::Text(text.into());
    let arch = |key: &str| format!("{ARCHITECTURE}.{key}");
    let token = |key: &str| format!("tokenizer.ggml.{key}");
    let mut keys = vec![
        ("general.architecture".into(), text(ARCHITECTURE)),
        ("general.type".into(), text("model")),
        ("general.name".into(), Value::Text(name)),
        ("general.file_type".into(), Value::U32(options.kind.file_type())),
        (arch("context_length"), size(config.seq_length)),
        (arch("embedding_length"), size(config.hidden_size)),
        (arch("feed_forward_length"), size(config.ffn_hidden_size)),
        (arch("block_count"), size(config.num_layers)),
        (arch("attention.head_count"), size(config.num_attention_heads)),
        (arch("attention.head_count_kv"), size(config.kv_groups)),
        (arch("attention.layer_norm_rms_epsilon"), Value::F32(config.layernorm_epsilon)),
        // Half of each head is rotated, in neighbouring pairs.
        (arch("rope.dimension_count"), size(config.head_dim / 2)),
        (arch("rope.freq_base"), Value::F32(rope_base(config))),
        (arch("vocab_size"), size(config.vocab_size)),
        // SentencePiece BPE with byte fallback.
        (token("model"), text("llama")),
        (token("pre"), text("chatglm-spm")),
        (token("tokens"), Value::Texts(vocabulary.tokens.clone())),
        (token("scores"), Value::F32s(vocabulary.scores.clone())),
        (token("token_type"), Value::I32s(vocabulary.types.clone())),
        (token("eos_token_id"), Value::U32(vocabulary.eos)),
        (token("unknown_token_id"), Value::U32(vocabulary.unknown)),
        (token("padding_token_id"), Value::U32(vocabulary.unknown)),
        // [gMASK] sop come from the template; nothing else stands before a prompt.
        (token("add_bos_token"), Value::Bool(false)),
        (token("add_eos_token"), Value::Bool(false)),
        (token("add_space_prefix"), Value::Bool(true)),
        ("tokenizer.chat_template".into(), Value::Text(template)),
    ];
    if let Some(user) = vocabulary.end_of_turn {
        keys.push((token("eot_token_id"), Value::U32(user)));
    }
    if options.kind != GgufType::F16 {
        keys.push(("general.quantization_version".into(), Value::U32(QUANTIZATION_VERSION)));
    }
    keys
}

/// Base of the rotary frequencies; the other kind of positions is refused before.
fn rope_base(config: &GlmConfig) -> f32 {
    match config.knobs.rotary {
        Rotary::HalfOfHead { base } => base,
        Rotary::TwoPositions => 10_000.0,
    }
}
