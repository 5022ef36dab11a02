//! Which files of a model are needed, and whether a folder holds them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, bail};
use glm_model::companions::{self, VOCABULARIES};

use super::name::is_component;

/// Weights, most preferred first, as the loader looks for them.
const WEIGHTS: [&str; 4] =
    ["model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json", "pytorch_model.bin"];

/// Largest index that is read: that of a 6B model has 20 kB.
const LARGEST_INDEX: u64 = 64 << 20;

/// Those of `listed` that are needed besides the weights. Python files are never run; exports carry them along.
pub fn small(listed: &[String]) -> Vec<String> {
    let needed = |name: &str| name == "config.json" || (is_component(name) && companions::is_companion(name));
    listed.iter().filter(|name| needed(name)).cloned().collect()
}

/// The file of `listed` that the loader would open first: one form of the weights, never both.
///
/// # Errors
/// When there is none.
pub fn weight_form(listed: &[String]) -> anyhow::Result<&'static str> {
    match WEIGHTS.into_iter().find(|name| listed.iter().any(|listed| listed == name)) {
        Some(name) => Ok(name),
        None => bail!("it has no weights that can be read; expected one of: {}", WEIGHTS.join(", ")),
    }
}

/// The shards that an index names, checked against what the model has; none when `index` is no index.
///
/// # Errors
/// When the index cannot be read, or names something that is no file of the model.
pub fn shards(index: &Path, listed: &[String]) -> anyhow::Result<Vec<String>> {
    let names = read_index(index)?;
    for name in &names {
        if !listed.contains(name) {
            bail!("{}: it names the file {name:?}, which the model does not have", index.display());
        }
    }
    Ok(names)
}

fn read_index(index: &Path) -> anyhow::Result<Vec<String>> {
    if index.extension().is_none_or(|ending| ending != "json") {
        return Ok(Vec::new());
    }
    let read = || -> anyhow::Result<Vec<String>> {
        if std::fs::metadata(index)?.len() > LARGEST_INDEX {
            bail!("too large for an index");
        }
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(index)?)?;
        let Some(map) = json.get("weight_map").and_then(|map| map.as_object()) else {
            bail!("expected an object with the key weight_map, as transformers writes it");
        };
        let mut names = BTreeSet::new();
        for (tensor, shard) in map {
            match shard.as_str() {
                Some(name) if is_component(name) => names.insert(name.to_owned()),
                _ => bail!("tensor {tensor:?}: expected the name of a file beside the index, found {shard}"),
            };
        }
        Ok(names.into_iter().collect())
    };
    read().with_context(|| index.display().to_string())
}

/// What a folder lacks to be a base; nothing when it is whole.
pub fn missing(folder: &Path) -> Vec<String> {
    let mut missing = Vec::new();
    if !folder.join("config.json").is_file() {
        missing.push("config.json".to_owned());
    }
    if !VOCABULARIES.into_iter().any(|name| folder.join(name).is_file()) {
        missing.push(VOCABULARIES.join(" or "));
    }
    missing.extend(weights_missing(folder));
    missing
}

/// What a folder lacks to have whole weights.
pub fn weights_missing(folder: &Path) -> Vec<String> {
    let Some(form) = WEIGHTS.into_iter().find(|name| folder.join(name).is_file()) else {
        return vec!["the weights".to_owned()];
    };
    match read_index(&folder.join(form)) {
        Ok(shards) => shards.into_iter().filter(|shard| !folder.join(shard).is_file()).collect(),
        Err(error) => vec![format!("a readable index ({error:#})")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_whole_with_all_that_its_index_names() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(missing(folder.path()), ["config.json", "tokenizer.model or ice_text.model", "the weights"]);
        write("config.json", "{}");
        write("ice_text.model", "");
        write("pytorch_model.bin", "");
        assert!(missing(folder.path()).is_empty());
        write("pytorch_model.bin.index.json", r#"{"weight_map": {"a": "x.bin", "b": "y.bin"}}"#);
        write("x.bin", "");
        assert_eq!(missing(folder.path()), ["y.bin"]);
        for broken in ["", "[]", "{}", r#"{"weight_map": {"a": 3}}"#, r#"{"weight_map": {"a": "../x"}}"#] {
            write("pytorch_model.bin.index.json", broken);
            assert_eq!(missing(folder.path()).len(), 1, "{broken}");
            assert!(shards(&folder.path().join("pytorch_model.bin.index.json"), &[]).is_err(), "{broken}");
        }
    }
}
