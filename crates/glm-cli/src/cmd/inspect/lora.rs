//! A LoRA adapter: peft's folder, or one of its weight files alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use glm_model::adapter::{LoraFile, peft};
use glm_model::weights::WeightFolder;

use super::report::{Report, count};
use super::tensors;

/// The weight file of a folder with a LoRA adapter; `None`: there is none.
pub fn file_of(folder: &Path) -> Option<PathBuf> {
    let files = [peft::SAFETENSORS_FILE, peft::TORCH_FILE].map(|name| folder.join(name));
    files.into_iter().find(|file| file.is_file())
}

/// Whether weights are those of a LoRA adapter.
pub fn is_one(weights: &WeightFolder) -> bool {
    weights.names().any(|name| name.contains("lora_"))
}

/// Shows the adapter at `path`, whose weights lie in `file`.
pub fn show(path: &Path, file: &Path, report: &mut Report) -> anyhow::Result<()> {
    let weights = match WeightFolder::open(file) {
        Ok(weights) => weights,
        Err(error) => {
            report.problem(error);
            return Ok(());
        }
    };
    let mut facts = Vec::new();
    match LoraFile::open(path) {
        Ok(lora) => {
            let layers: BTreeSet<usize> = lora.modules().map(|(layer, ..)| layer).collect();
            let parts: BTreeSet<&str> = lora.modules().map(|(_, part, _)| part).collect();
            let shapes: BTreeSet<String> =
                lora.modules().map(|(_, part, [a, b])| format!("{part}: {} → {} → {}", a[1], a[0], b[0])).collect();
            facts.push(("rank", lora.rank().to_string()));
            facts.push(("scale", format!("{} on what the factors give", lora.scale())));
            facts.push((
                "adds to",
                format!("{} in {} layers", parts.into_iter().collect::<Vec<_>>().join(", "), layers.len()),
            ));
            facts.push(("widths", shapes.into_iter().collect::<Vec<_>>().join("\n")));
            facts.extend(lora.base_name().map(|name| ("base", name.to_owned())));
        }
        Err(error) => report.problem(error),
    }
    let values: u64 = weights.names().filter_map(|name| weights.get(name)).map(|tensor| tensor.len() as u64).sum();
    facts.push(("trained weights", count(values)));
    facts.push(("stored as", tensors::stored_as(&weights)));
    facts.push(("files", tensors::files(&weights)));
    report.section("LoRA adapter", &facts)?;
    tensors::metadata(file, report)?;
    tensors::check_values(&weights, report)
}
