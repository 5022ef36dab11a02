//! Complete checkpoints of a run's folder.

use crate::runs::{checkpoint_step, read};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A complete checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Checkpoint {
    /// Optimizer steps done.
    pub step: u64,
    /// When it was saved, in seconds since 1970: a later run may write another one of the same name.
    pub saved: u64,
    /// The folder.
    pub path: PathBuf,
}

/// Those of a run, the newest first; none where the folder is not there. A checkpoint is complete when its
/// `trainer_state.json` can be read and says the step of the folder's name: trainings write that file last, and give the folder
/// its name when all is in it.
pub fn complete(run: &Path) -> Vec<Checkpoint> {
    let Ok(entries) = std::fs::read_dir(run) else { return Vec::new() };
    let mut found: Vec<Checkpoint> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let step = checkpoint_step(entry.file_name().to_str()?)?;
            of(entry.path(), step)
        })
        .collect();
    found.sort();
    found.reverse();
    found
}

fn of(path: PathBuf, step: u64) -> Option<Checkpoint> {
    let state = path.join("trainer_state.json");
    let said = read::json(&state)?.get("global_step").and_then(Value::as_u64)?;
    (said == step).then_some(Checkpoint { step, saved: read::written(&state)?, path })
}

/// When the checkpoint of a folder was saved.
pub fn saved(path: &Path) -> Option<u64> {
    read::written(&path.join("trainer_state.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_complete_checkpoints_count() {
        let run = tempfile::tempdir().unwrap();
        let states = [
            ("checkpoint-5", "{\"global_step\": 5}"),
            ("checkpoint-20", "{\"global_step\": 20}"),
            ("checkpoint-30", "{\"global_step\": 20}"),
            ("checkpoint-40", "{\"global_"),
            ("checkpoint-050", "{\"global_step\": 50}"),
            (".checkpoint-60.tmp-1-1", "{\"global_step\": 60}"),
        ];
        for (name, state) in states {
            fs::create_dir(run.path().join(name)).unwrap();
            fs::write(run.path().join(name).join("trainer_state.json"), state).unwrap();
        }
        fs::create_dir(run.path().join("checkpoint-70")).unwrap();
        let steps: Vec<u64> = complete(run.path()).iter().map(|checkpoint| checkpoint.step).collect();
        assert_eq!(steps, [20, 5]);
        assert!(complete(&run.path().join("absent")).is_empty());
    }
}
