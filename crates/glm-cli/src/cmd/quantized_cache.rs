//! Loading a base by way of the quantized form that an earlier start has kept.

use std::path::Path;

use glm_model::quantized_file::QuantizedFile;
use glm_model::weights::WeightFolder;
use glm_model::{GlmConfig, LoadOptions, Network};

use crate::cmd::inspect::report::bytes;
use crate::config::quantized_cache::QuantizedCache;

/// Disk space that is left to others.
const LEFT: u64 = 1_000_000_000;

/// The file that the setting means for a base; `None` when none is read or written.
pub fn file(
    setting: &QuantizedCache,
    config: &GlmConfig,
    weights: &WeightFolder,
    options: LoadOptions,
) -> Option<QuantizedFile> {
    let (folder, fewest) = setting.folder()?;
    QuantizedFile::new(&folder, config, weights, options).filter(|file| file.bytes() >= fewest)
}

/// Loads a base, from `file` what it can, and writes that when it was of no use. `loaded` is called when the base is in memory.
///
/// # Errors
/// As [`Network::load`]; what goes wrong with the file is a warning.
pub fn load(
    config: GlmConfig,
    weights: &WeightFolder,
    options: LoadOptions,
    file: Option<&QuantizedFile>,
    progress: &mut dyn FnMut(u64, u64),
    loaded: impl FnOnce(),
) -> glm_model::Result<Network> {
    if let Some(file) = file {
        file.remove_leftovers();
    }
    let found = file.and_then(take).unwrap_or_default();
    let write = found.is_empty();
    let network = Network::from_quantized(config, weights, options, found, progress)?;
    loaded();
    if let Some(file) = file.filter(|_| write) {
        keep(file, &network);
    }
    Ok(network)
}

/// What the file holds, if it can be used.
fn take(file: &QuantizedFile) -> Option<glm_model::quantized_file::Quantized> {
    let path = file.path().display();
    match file.open() {
        Ok(found) => {
            if found.is_some() {
                eprintln!("using the quantized form from {path}");
            }
            found
        }
        Err(reason) => {
            eprintln!("note: {path} is not used: {reason}; the base is quantized again");
            None
        }
    }
}

/// Writes the file, if the disk has room.
fn keep(file: &QuantizedFile, network: &Network) {
    let (path, size) = (file.path().display(), file.bytes());
    // A file that is replaced gives its own room.
    let replaced = std::fs::metadata(file.path()).map_or(0, |found| found.len());
    let space = space(file.path()).map(|free| free + replaced);
    if let Some(free) = space.filter(|free| *free < size + LEFT) {
        eprintln!(
            "note: the quantized form ({}) is not kept, as only {} are free where it would be ({path}); --quantized_cache PATH \
             names another folder",
            bytes(size),
            bytes(free)
        );
        return;
    }
    eprintln!("writing the quantized form to {path} ({}); the next start takes seconds", bytes(size));
    if let Err(error) = file.write(network) {
        eprintln!(
            "warning: {error}; the next start quantizes again (--quantized_cache PATH names another folder, off keeps nothing)"
        );
    }
}

/// Bytes that are free where a path will be, if the system says.
fn space(path: &Path) -> Option<u64> {
    let there = path.ancestors().skip(1).find(|folder| folder.is_dir())?;
    fs4::available_space(there).ok()
}
