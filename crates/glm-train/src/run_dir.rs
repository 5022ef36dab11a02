//! The folders `checkpoint-N` of a run: naming, finding and rotating.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::atomic::{self, FileError};
use crate::journal::TrainerState;

/// Name of the journal file inside every checkpoint.
pub const TRAINER_STATE: &str = "trainer_state.json";

/// A complete checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Optimizer steps done.
    pub step: u64,
    /// The folder.
    pub path: PathBuf,
}

/// Folder of the checkpoint after `step` steps.
pub fn checkpoint_path(output_dir: &Path, step: u64) -> PathBuf {
    output_dir.join(format!("checkpoint-{step}"))
}

/// The step in a folder name `checkpoint-N` (decimal, no sign, no leading zeros).
pub fn parse_checkpoint_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("checkpoint-")?;
    let step: u64 = digits.parse().ok()?;
    (step.to_string() == digits).then_some(step)
}

/// All complete checkpoints, the oldest (fewest steps) first.
///
/// A checkpoint is complete when it is a folder called `checkpoint-N` whose `trainer_state.json` can be read and says
/// `global_step` N, and which holds every file in `required`. Checkpoints written by [`atomic::AtomicDir`] always are; the
/// rule guards against copies that broke off and folders from elsewhere.
///
/// # Errors
/// When `output_dir` exists and cannot be listed.
pub fn complete_checkpoints(output_dir: &Path, required: &[&str]) -> Result<Vec<Checkpoint>, FileError> {
    let entries = match fs::read_dir(output_dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(FileError::at("list", output_dir)(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(FileError::at("list", output_dir))?;
        let Some(step) = entry.file_name().to_str().and_then(parse_checkpoint_name) else { continue };
        let path = entry.path();
        let says_step = || TrainerState::load(&path.join(TRAINER_STATE)).is_ok_and(|state| state.global_step == step);
        if required.iter().all(|file| path.join(file).is_file()) && says_step() {
            found.push(Checkpoint { step, path });
        }
    }
    found.sort_by_key(|c| c.step);
    Ok(found)
}

/// Moves all checkpoints of an earlier run into a folder `replaced-N` beside them, so that the run that begins neither
/// resumes from them nor rotates them away. Returns that folder, or `None` when there was nothing to move.
///
/// # Errors
/// When a folder cannot be listed, made or moved.
pub fn set_aside_checkpoints(output_dir: &Path) -> Result<Option<PathBuf>, FileError> {
    let old = complete_checkpoints(output_dir, &[])?;
    if old.is_empty() {
        return Ok(None);
    }
    let folder = (1..).map(|n| output_dir.join(format!("replaced-{n}"))).find(|folder| !folder.exists());
    let folder = folder.expect("there is always a next number");
    fs::create_dir(&folder).map_err(FileError::at("create", &folder))?;
    for checkpoint in old {
        let to = folder.join(format!("checkpoint-{}", checkpoint.step));
        fs::rename(&checkpoint.path, &to).map_err(FileError::at("move", &checkpoint.path))?;
    }
    Ok(Some(folder))
}

/// The complete checkpoint with the most steps, for `--resume_from_checkpoint auto`.
///
/// # Errors
/// As [`complete_checkpoints`].
pub fn latest_checkpoint(output_dir: &Path, required: &[&str]) -> Result<Option<Checkpoint>, FileError> {
    Ok(complete_checkpoints(output_dir, required)?.pop())
}

/// Removes the oldest complete checkpoints until `limit` are left and returns the removed ones.
///
/// `None` and 0 keep all, as in transformers. `newest`, the step just saved, is never removed, even when the folder holds
/// checkpoints of an earlier, longer run; nor is anything that is not a complete checkpoint.
///
/// # Errors
/// When a folder cannot be listed or removed.
pub fn rotate_checkpoints(output_dir: &Path, limit: Option<usize>, newest: u64) -> Result<Vec<Checkpoint>, FileError> {
    let Some(limit) = limit.filter(|n| *n > 0) else { return Ok(Vec::new()) };
    let mut old = complete_checkpoints(output_dir, &[])?;
    let surplus = old.len().saturating_sub(limit);
    old.retain(|c| c.step != newest);
    old.truncate(surplus);
    for checkpoint in &old {
        atomic::remove_dir(&checkpoint.path)?;
    }
    Ok(old)
}
