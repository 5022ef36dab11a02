//! Files of a base folder that belong to any folder made from it: tokenizer, generation settings and, for those who load
//! with Python, the model code.

use crate::{ModelError, Result};
use std::path::Path;

/// Vocabularies, one of which every folder needs.
const VOCABULARIES: [&str; 2] = ["tokenizer.model", "ice_text.model"];
/// Other files, by name.
const FILES: [&str; 8] = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.json",
    "chat_template.jinja",
    "generation_config.json",
    "LICENSE",
    "MODEL_LICENSE",
];
/// Model code, by ending; `.c` are the official CPU kernels of quantized folders.
const CODE: [&str; 2] = ["py", "c"];

/// Copies what is there, links followed (hub caches are made of links), and returns the names and a remark for each
/// missing file that somebody will need.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(Vec<String>, Vec<String>)> {
    let mut copied = Vec::new();
    let entries = std::fs::read_dir(from).map_err(ModelError::io(from))?;
    for entry in entries {
        let entry = entry.map_err(ModelError::io(from))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if wanted(&name) && entry.path().is_file() {
            let path = to.join(&name);
            std::fs::copy(entry.path(), &path).map_err(ModelError::io(&path))?;
            copied.push(name);
        }
    }
    copied.sort();
    let remarks = missing(&copied, from);
    Ok((copied, remarks))
}

fn wanted(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    VOCABULARIES.contains(&name) || FILES.contains(&name) || CODE.contains(&ending)
}

fn missing(copied: &[String], from: &Path) -> Vec<String> {
    let has = |wanted: &str| copied.iter().any(|name| name == wanted);
    let mut remarks = Vec::new();
    if !VOCABULARIES.iter().any(|name| has(name)) {
        let names = VOCABULARIES.join(" or ");
        remarks.push(format!("{} has no {names}; put one beside the weights before they are used", from.display()));
    }
    if !has("modeling_chatglm.py") {
        remarks.push(format!(
            "{} has no modeling_chatglm.py; Python programs need the model code of the published folder beside the weights",
            from.display()
        ));
    }
    remarks
}
