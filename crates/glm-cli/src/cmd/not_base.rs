//! An adapter where the base should be: says so, with the flags that were meant.

use std::path::Path;

use glm_model::adapter::holds_only_prefix;
use glm_model::weights::WeightFolder;

use crate::args::usage::{UsageError, refuse};

/// What peft writes beside an adapter.
const PEFT_CONFIG: &str = "adapter_config.json";

/// Refuses a folder that holds an adapter and no base. `flag` is the verb's one flag for adapters of every kind, if it has
/// one.
///
/// # Errors
/// Names the folder, what it holds, and the flags to give, with the base that the adapter names if it names one.
pub fn refuse_adapter(folder: &Path, flag: Option<&str>) -> Result<(), UsageError> {
    let Some((kind, own)) = adapter_in(folder) else { return Ok(()) };
    let flag = flag.unwrap_or(own);
    let (shown, base) = (folder.display(), base_of(folder).unwrap_or_else(|| "BASE".into()));
    refuse!(
        "--model_name_or_path {shown}: it holds only {kind}, which works on a base: give --model_name_or_path {base} {flag} {shown}"
    )
}

/// The kind of an adapter that lies in the folder without a base, and the flag for it.
fn adapter_in(folder: &Path) -> Option<(&'static str, &'static str)> {
    let lora = ("a LoRA adapter", "--lora_checkpoint");
    let prefix = ("a P-Tuning prefix", "--ptuning_checkpoint");
    match WeightFolder::open(folder) {
        Ok(weights) if holds_only_prefix(&weights) => Some(prefix),
        Ok(weights) => {
            let mut names = weights.names().peekable();
            (names.peek().is_some() && names.all(|name| name.contains("lora_"))).then_some(lora)
        }
        // peft's files have names of their own, and no base stands beside them.
        Err(_) => match peft_text(folder, "peft_type")?.as_str() {
            "LORA" => Some(lora),
            "PREFIX_TUNING" => Some(prefix),
            _ => None,
        },
    }
}

/// The base that an adapter was trained on, as its files name it.
fn base_of(folder: &Path) -> Option<String> {
    peft_text(folder, "base_model_name_or_path").filter(|name| !name.is_empty())
}

/// A text of `adapter_config.json`; none that could send commands to a terminal.
fn peft_text(folder: &Path, key: &str) -> Option<String> {
    let text = std::fs::read(folder.join(PEFT_CONFIG)).ok()?;
    let config: serde_json::Value = serde_json::from_slice(&text).ok()?;
    config.get(key)?.as_str().filter(|text| !text.contains(char::is_control)).map(str::to_owned)
}
