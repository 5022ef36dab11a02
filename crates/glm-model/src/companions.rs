//! Files that lie beside the weights of a base and belong to whatever is made from it: tokenizer, generation settings and,
//! for those who load with Python, the model code. The one list of them, for downloads, exports and checkpoints.

use crate::{ModelError, Result};
use std::path::{Path, PathBuf};

/// Vocabularies, one of which every base has.
pub const VOCABULARIES: [&str; 2] = ["tokenizer.model", "ice_text.model"];
/// What else belongs to a tokenizer, its code included.
const TOKENIZER: [&str; 6] = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.json",
    "chat_template.jinja",
    "tokenization_chatglm.py",
];
/// Other files, by name.
const OTHERS: [&str; 3] = ["generation_config.json", "LICENSE", "MODEL_LICENSE"];
/// Model code, by ending; `.c` are the official CPU kernels of quantized folders.
const CODE: [&str; 2] = ["py", "c"];

/// Whether a file of that name belongs to a tokenizer.
pub fn is_tokenizer(name: &str) -> bool {
    VOCABULARIES.contains(&name) || TOKENIZER.contains(&name)
}

/// Whether a file of that name goes with the weights. `config.json` is none: whoever makes a folder writes his own.
pub fn is_companion(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    is_tokenizer(name) || OTHERS.contains(&name) || CODE.contains(&ending)
}

/// Copies those files of a folder that are `wanted` by name, links followed (hub caches are made of links), and returns
/// their names, sorted.
///
/// # Errors
/// Names the file that the system refuses.
pub fn copy(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>> {
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
    Ok(copied)
}

/// Copies all companions, and returns their names and a remark for each missing file that somebody will need.
pub(crate) fn copy_all(from: &Path, to: &Path) -> Result<(Vec<String>, Vec<String>)> {
    let copied = copy(from, to, is_companion)?;
    let remarks = missing(&copied, from);
    Ok((copied, remarks))
}

/// The vocabulary `name` of the base in `folder`, for what cannot be made without it; `why` says what reads it.
///
/// # Errors
/// When it is not there: what it is for and where to get it.
pub(crate) fn vocabulary(folder: &Path, name: &str, why: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let reason = format!(
        "there is no such file. It is the vocabulary of the base, which {why}; copy it there from the model as Hugging Face \
         publishes it, or export from a base folder that has it"
    );
    Err(ModelError::file(path, reason))
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
