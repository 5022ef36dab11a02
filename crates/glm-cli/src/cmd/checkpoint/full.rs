//! The checkpoint of a base that trained: a base.

use crate::cmd::base::Loaded;
use glm_model::export::{FolderOptions, FolderSource, Parameters, write_folder};
use glm_model::weights::FileFormat;
use std::path::Path;

/// Writes a complete Hugging Face folder, which whatever loads the base loads instead of it. Its floats have the type that
/// the weights were used in while they trained, so that it answers as the trained network did.
///
/// # Errors
/// When the disk refuses, a value is not finite, or what was written reads back differently.
pub fn write(base: &Loaded, folder: &Path) -> glm_train::Result<()> {
    let network = &base.network;
    // What does not train, such as the official files' table of rotary frequencies, is taken from the base.
    let files = FolderSource::open(&base.folder)?;
    let trained = Parameters::new(network.config(), network.parameters(), Some(&files));
    let options = FolderOptions {
        dtype: Some(network.trained_type()),
        format: FileFormat::Safetensors,
        ..FolderOptions::default()
    };
    write_folder(&trained, &base.folder, folder, options, &mut |_, _| {})?;
    Ok(())
}
