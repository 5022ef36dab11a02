//! What the golden tests share.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use glm_data::{Tokenizer, Variant};
use glm_testkit::{external, fixture};
use serde_json::Value;

/// Folder of goldens and the tokenizer that they were made with; the real vocabulary is not shipped.
pub fn cases() -> Vec<(&'static str, Tokenizer)> {
    let tiny = fixture("tiny-tokenizer/tokenizer.model");
    let mut cases = vec![("tiny-tokenizer", Tokenizer::from_file(&tiny, Variant::ChatGlm2).unwrap())];
    if let Some(real) = external("chatglm2-tokenizer/tokenizer.model") {
        cases.push(("glm2-tokenizer", Tokenizer::from_file(&real, Variant::ChatGlm2).unwrap()));
    }
    cases
}

/// ChatGLM-6B's vocabulary, counted behind `image_tokens` image tokens.
pub fn chatglm(image_tokens: u32) -> Tokenizer {
    let bytes = std::fs::read(fixture("glm1-tokenizer/ice_text.model")).unwrap();
    Tokenizer::from_bytes_with_image_tokens(&bytes, Variant::ChatGlm, image_tokens).unwrap()
}

/// ChatGLM3's goldens and tokenizer; its vocabulary is ChatGLM2's.
pub fn chatglm3() -> Option<Tokenizer> {
    let file = external("chatglm2-tokenizer/tokenizer.model");
    file.map(|file| Tokenizer::from_file(&file, Variant::ChatGlm3).unwrap())
}

/// Every file of encoded strings and the tokenizer that it was made with.
pub fn encode_cases() -> Vec<(String, Tokenizer)> {
    let mut all: Vec<_> = cases().into_iter().map(|(folder, t)| (format!("{folder}/encode.json"), t)).collect();
    for name in ["encode_image0", "encode_image20000"] {
        let path = format!("glm1-tokenizer/{name}.json");
        let image_tokens = glm_testkit::json(&path)["num_image_tokens"].as_u64().unwrap();
        all.push((path, chatglm(u32::try_from(image_tokens).unwrap())));
    }
    all.extend(chatglm3().map(|tokenizer| ("glm3-tokenizer/encode.json".into(), tokenizer)));
    all
}

/// A json fixture that is not shipped, or `None` with a printed reason.
pub fn optional(path: &str) -> Option<Value> {
    if fixture(path).exists() {
        return Some(glm_testkit::json(path));
    }
    eprintln!("skipped: {path} is not among the fixtures");
    None
}

/// A list of ids.
pub fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|v| u32::try_from(v.as_u64().unwrap()).unwrap()).collect()
}

/// A list of values; panics when there is none, so that a test cannot pass by looking at nothing.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let entries = value[key].as_array().unwrap_or_else(|| panic!("no list {key:?}"));
    assert!(!entries.is_empty(), "{key:?} is empty");
    entries
}

/// A text.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Rows as they come from a file of JSON lines named rows.json. Names in objects are sorted; where their order matters,
/// see [`rows_of`].
pub fn rows(values: &[Value]) -> glm_data::Rows {
    let lines: Vec<String> = values.iter().map(ToString::to_string).collect();
    rows_of(&lines.join("\n"))
}

/// Rows of a file named rows.json with these contents.
pub fn rows_of(contents: &str) -> glm_data::Rows {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rows.json");
    std::fs::write(&file, contents).unwrap();
    glm_data::read_rows(&file, false).unwrap()
}

/// A list of labels.
pub fn labels(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect()
}

/// The small vocabulary as that of a ChatGLM2-6B or ChatGLM3-6B.
pub fn tiny(variant: Variant) -> Tokenizer {
    Tokenizer::from_file(&fixture("tiny-tokenizer/tokenizer.model"), variant).unwrap()
}
