//! Where an export goes: a place that holds nothing yet.

use crate::atomic::{AtomicDir, AtomicFile, parent};
use crate::{ModelError, Result};
use std::fs;
use std::path::Path;

/// Begins a folder that must be absent or empty; folders above it are made.
pub(super) fn folder(target: &Path) -> Result<AtomicDir> {
    if let Ok(found) = fs::symlink_metadata(target) {
        let empty = found.is_dir() && fs::read_dir(target).map_err(ModelError::io(target))?.next().is_none();
        if !empty {
            return Err(occupied(target));
        }
    }
    make_parent(target)?;
    Ok(AtomicDir::create(target)?)
}

/// Begins a file that must be absent; folders above it are made.
pub(super) fn file(target: &Path) -> Result<AtomicFile> {
    if fs::symlink_metadata(target).is_ok() {
        return Err(occupied(target));
    }
    make_parent(target)?;
    Ok(AtomicFile::create(target)?)
}

fn occupied(target: &Path) -> ModelError {
    ModelError::file(target, "it is there already; an export never replaces anything: name another place, or remove it")
}

fn make_parent(target: &Path) -> Result<()> {
    let parent = parent(target);
    fs::create_dir_all(parent).map_err(ModelError::io(parent))
}
