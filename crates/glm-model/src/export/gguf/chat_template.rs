//! The Jinja template with which llama.cpp turns messages into a prompt.

use crate::{ModelError, Result};
use glm_data::Variant;
use std::path::Path;

/// ChatGLM2's rounds: question and answer are numbered from 1; text of the system stands before the next question. The two
/// special tokens are joined by an expression because llama.cpp takes a template that holds them side by side for ChatGLM3's.
const CHATGLM2: &str = concat!(
    "{%- set ns = namespace(round=0, system='') -%}",
    "{{- '[gMASK]' + 'sop' -}}",
    "{%- for message in messages -%}",
    "{%- if message['role'] == 'system' -%}{%- set ns.system = message['content'] -%}",
    "{%- elif message['role'] == 'user' -%}",
    "{%- set ns.round = ns.round + 1 -%}",
    "{{- '[Round ' ~ ns.round ~ ']\\n\\n问：' ~ ns.system ~ message['content'] ~ '\\n\\n答：' -}}",
    "{%- set ns.system = '' -%}",
    "{%- else -%}{{- message['content'] ~ '\\n\\n' -}}{%- endif -%}",
    "{%- endfor -%}"
);

/// ChatGLM3's roles, each followed by a line end, a blank and the text.
const CHATGLM3: &str = concat!(
    "{{- '[gMASK]sop' -}}",
    "{%- for message in messages -%}",
    "{{- '<|' + message['role'] + '|>\\n ' + message['content'] -}}",
    "{%- endfor -%}",
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
);

/// The template of the base's folder, else the variant's own.
pub(super) fn find(folder: &Path, variant: Variant) -> Result<String> {
    let path = folder.join("tokenizer_config.json");
    if path.is_file() {
        let text = std::fs::read_to_string(&path).map_err(ModelError::io(&path))?;
        let config: serde_json::Value =
            serde_json::from_str(&text).map_err(|e| ModelError::file(&path, format!("not json: {e}")))?;
        if let Some(template) = config.get("chat_template").and_then(|template| template.as_str()) {
            return Ok(template.to_string());
        }
    }
    Ok(match variant {
        Variant::ChatGlm | Variant::ChatGlm2 => CHATGLM2,
        Variant::ChatGlm3 => CHATGLM3,
    }
    .to_string())
}
