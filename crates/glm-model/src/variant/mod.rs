//! What differs between the members of the family: one file each, turning `config.json` into knobs and naming tensors.

pub mod chatglm2;

use glm_data::Variant;
use serde_json::{Map, Value};

/// Tells the variant of a `config.json`.
///
/// # Errors
/// A sentence that says what the file seems to be instead.
pub fn recognise(raw: &Map<String, Value>) -> Result<Variant, String> {
    let model_type = raw.get("model_type").and_then(Value::as_str).unwrap_or("absent");
    if model_type != "chatglm" {
        return Err(format!("model_type is {model_type}, expected chatglm; only ChatGLM models are supported"));
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
