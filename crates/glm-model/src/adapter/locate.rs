//! Finds the weight file of an adapter, whatever it is called.

use super::checkpoint::{SAFETENSORS_FILE, TORCH_FILE};
use super::peft;
use crate::weights::WeightFolder;
use crate::{ModelError, Result};
use std::path::{Path, PathBuf};

/// Names of weights, most preferred first. A folder whose weights lie in shards is opened by its index.
const NAMES: [&str; 7] = [
    SAFETENSORS_FILE,
    peft::SAFETENSORS_FILE,
    peft::TORCH_FILE,
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    TORCH_FILE,
];
/// Endings of weight files with other names.
const ENDINGS: [&str; 4] = ["safetensors", "bin", "pt", "pth"];
/// Files of a training run that end so and are no weights.
const OTHERS: [&str; 6] =
    ["optimizer.pt", "scheduler.pt", "scaler.pt", "training_args.bin", "rng_state.pth", "training_state.safetensors"];

/// An opened adapter: its weights, and the folder that may hold more about them.
pub(super) struct Located {
    /// What was asked for.
    pub path: PathBuf,
    /// The weight file, or the folder of shards.
    pub file: PathBuf,
    /// Where `adapter_config.json` would be.
    pub folder: PathBuf,
    pub weights: WeightFolder,
}

/// Opens the weights at `path`: a file, or the one that its folder holds.
pub(super) fn locate(path: &Path) -> Result<Located> {
    let file = if path.is_dir() { find(path)? } else { path.to_path_buf() };
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let weights = WeightFolder::open(&file)?;
    Ok(Located { path: path.to_path_buf(), folder: folder.to_path_buf(), weights, file })
}

fn find(folder: &Path) -> Result<PathBuf> {
    if let Some(name) = NAMES.iter().find(|name| folder.join(name).is_file()) {
        // Shards are opened with the folder, by their index.
        return Ok(if name.ends_with(".json") { folder.to_path_buf() } else { folder.join(name) });
    }
    let (mut files, mut checkpoints) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(ModelError::io(folder))?.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let ending = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
        // Several processes of one run number their random states.
        let other = OTHERS.contains(&name.as_str()) || name.starts_with("rng_state");
        if path.is_file() && ENDINGS.contains(&ending.as_str()) && !other {
            files.push(path);
        } else if let Some(step) = name.strip_prefix("checkpoint-").and_then(|step| step.parse::<u64>().ok()) {
            checkpoints.push(step);
        }
    }
    files.sort();
    match (files.as_slice(), checkpoints.iter().max()) {
        ([file], _) => Ok(file.clone()),
        ([], Some(last)) => {
            let last = folder.join(format!("checkpoint-{last}"));
            let reason =
                format!("it holds checkpoints, not an adapter; name one of them, for example {}", last.display());
            Err(ModelError::misplaced(folder, reason))
        }
        ([], None) => {
            let wanted = NAMES.iter().filter(|name| !name.ends_with(".json")).copied().collect::<Vec<_>>().join(", ");
            Err(ModelError::misplaced(folder, format!("it holds no weights of an adapter; expected one of: {wanted}")))
        }
        (many, _) => {
            let names: Vec<_> = many.iter().filter_map(|f| Some(f.file_name()?.to_string_lossy())).collect();
            Err(ModelError::misplaced(
                folder,
                format!("it holds several weight files ({}); name one", names.join(", ")),
            ))
        }
    }
}
