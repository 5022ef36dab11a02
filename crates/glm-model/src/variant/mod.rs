//! What differs between the members of the family: one file each, turning `config.json` into knobs and naming tensors.

pub mod chatglm2;

use glm_data::Variant;
use serde_json::{Map, Value};

/// ChatGLM3 has ChatGLM2's keys and tensors, but other prompts: taken for ChatGLM2 it would be trained on the wrong ones.
pub(crate) const CHATGLM3: &str =
    "this is a ChatGLM3 folder, which is not supported yet (its prompts differ from ChatGLM2's); ChatGLM2 folders are";

/// Whether the tokenizer files of a folder know ChatGLM3's roles.
pub(crate) fn has_chatglm3_roles(folder: &std::path::Path) -> bool {
    ["tokenizer_config.json", "tokenization_chatglm.py"]
        .iter()
        .filter_map(|name| std::fs::read(folder.join(name)).ok())
        .any(|bytes| bytes.windows(15).any(|window| window == b"<|observation|>"))
}

/// Tells the variant of a `config.json`.
///
/// # Errors
/// A sentence that says what the file seems to be instead.
pub fn recognise(raw: &Map<String, Value>) -> Result<Variant, String> {
    let model_type = raw.get("model_type").and_then(Value::as_str).unwrap_or("absent");
    if model_type != "chatglm" {
        return Err(format!("model_type is {model_type}, expected chatglm; only ChatGLM models are supported"));
    }
    let name = raw.get("_name_or_path").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    if name.contains("chatglm3") {
        return Err(CHATGLM3.into());
    }
    if raw.contains_key("padded_vocab_size") && raw.contains_key("multi_query_group_num") {
        return Ok(Variant::ChatGlm2);
    }
    if raw.contains_key("inner_hidden_size") || raw.contains_key("position_encoding_2d") {
        return Err(
            "this is a ChatGLM-6B (first generation) folder, which is not supported yet; ChatGLM2 folders are".into()
        );
    }
    Err("the keys padded_vocab_size and multi_query_group_num of a ChatGLM2 configuration are missing".into())
}
