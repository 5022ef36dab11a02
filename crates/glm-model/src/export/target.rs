//! Where an export goes: a place that holds nothing yet.

use crate::atomic::{AtomicDir, AtomicFile, parent, remove_leftovers_of};
use crate::{ModelError, Result};
use std::fs;
use std::path::Path;

/// Begins a folder that must be absent or empty; folders above it are made. What killed exports to the same place have left
/// beside it is removed.
///
/// # Errors
/// When the place is not free or the system refuses.
pub fn folder(target: &Path) -> Result<AtomicDir> {
    remove_leftovers_of(target)?;
    if let Ok(found) = fs::symlink_metadata(target) {
        let empty = found.is_dir() && fs::read_dir(target).map_err(ModelError::io(target))?.next().is_none();
        if !empty {
            return Err(occupied(target));
        }
    }
    make_parent(target)?;
    Ok(AtomicDir::create(target)?)
}

/// As [`folder`], a file that must be absent.
pub(super) fn file(target: &Path) -> Result<AtomicFile> {
    remove_leftovers_of(target)?;
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
