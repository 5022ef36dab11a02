//! What differs between the members of the family: one file each, turning `config.json` into knobs; and tensor names.

pub mod chatglm;
pub mod chatglm2;
pub mod chatglm3;
mod knobs;
mod names;

pub use knobs::{Activation, Knobs, NormKind, QkvLayout, Residual, Rotary};
pub use names::Names;

use glm_data::Variant;
use serde_json::{Map, Value};
use std::path::Path;

/// First id behind GLM-4's ordinary tokens; ChatGLM2's vocabulary is less than half as large.
const GLM4_VOCABULARY: u64 = 151_329;

/// Whether the tokenizer files of a folder know ChatGLM3's roles.
pub(crate) fn has_chatglm3_roles(folder: &Path) -> bool {
    ["tokenizer_config.json", "tokenization_chatglm.py"]
        .iter()
        .filter_map(|name| std::fs::read(folder.join(name)).ok())
        .any(|bytes| bytes.windows(15).any(|window| window == b"<|observation|>"))
}

/// The `config.json` of the published model of a variant.
pub fn published(variant: Variant) -> Map<String, Value> {
    match variant {
        Variant::ChatGlm => chatglm::published(),
        Variant::ChatGlm2 => chatglm2::published(),
        Variant::ChatGlm3 => chatglm3::published(),
    }
}

/// Tells the variant of a `config.json`.
///
/// # Errors
/// A sentence that says what the file seems to be instead.
pub fn recognise(raw: &Map<String, Value>) -> Result<Variant, String> {
    let has = |key: &str| raw.contains_key(key);
    let name = raw.get("_name_or_path").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    if let Some(stranger) = stranger(raw) {
        let supported = Variant::ALL.map(Variant::name).join(", ");
        return Err(format!("this is {stranger}; only folders of {supported} and of the same layout are supported"));
    }
    if has("padded_vocab_size") && has("multi_query_group_num") {
        // The part of a path that comes last says most.
        let third = name.rfind("chatglm3") > name.rfind("chatglm2");
        return Ok(if third { Variant::ChatGlm3 } else { Variant::ChatGlm2 });
    }
    if has("inner_hidden_size") || has("position_encoding_2d") || has("max_sequence_length") {
        return Ok(Variant::ChatGlm);
    }
    Err("it has neither ChatGLM-6B's keys (inner_hidden_size, position_encoding_2d) nor ChatGLM2's \
         (padded_vocab_size, multi_query_group_num)"
        .into())
}

/// What a `config.json` belongs to when it is none of the family's.
fn stranger(raw: &Map<String, Value>) -> Option<String> {
    let model_type = raw.get("model_type").and_then(Value::as_str).unwrap_or("absent");
    if model_type != "chatglm" {
        let known = match model_type {
            "llama" => "a LLaMA model",
            "qwen" | "qwen2" | "qwen3" => "a Qwen model",
            "baichuan" => "a Baichuan model",
            "mistral" => "a Mistral model",
            "glm" | "glm4" => "a GLM-4 model in the form of the transformers library",
            _ => "no ChatGLM model",
        };
        return Some(format!("{known} (model_type is {model_type}, expected chatglm)"));
    }
    let rows = raw.get("padded_vocab_size").and_then(Value::as_u64).unwrap_or(0);
    if rows >= GLM4_VOCABULARY {
        return Some(format!("a GLM-4 folder (padded_vocab_size is {rows}), whose tokenizer and prompts are others"));
    }
    let vision = ["image_length", "eva_config", "qformer_config", "vision_config", "cross_vision_config"];
    if let Some(key) = vision.iter().find(|key| raw.contains_key(**key)) {
        return Some(format!("a model that sees images ({key} is set)"));
    }
    None
}
