//! Which runs a folder holds.

use super::read;
use std::path::{Path, PathBuf};

/// Files of which a run has at least one.
const MARKS: [&str; 3] = ["trainer_log.jsonl", "trainer_state.json", "run_config.json"];

/// Most folders that are looked at, and most runs that are listed.
const MOST_FOLDERS: usize = 20_000;
const MOST_RUNS: usize = 1000;

/// Levels of folders below the given one in which runs are looked for.
const DEPTH: usize = 2;

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its path below the folder, with `/` between the parts.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
}

/// The runs of a folder: those in it and in its folders, and the folder itself. Links are not followed, for they may lead
/// elsewhere; names that are not Unicode are passed over.
///
/// # Errors
/// When the folder cannot be listed.
pub fn runs(folder: &Path) -> std::io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut looked = 0;
    below(folder, "", DEPTH, &mut looked, &mut found)?;
    if is_run(folder) {
        let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let mut id = whole.file_name().and_then(|name| name.to_str()).unwrap_or("run").to_owned();
        // A run inside may have the name of the folder.
        while found.iter().any(|other| other.id == id) {
            id.push('_');
        }
        found.push(Found { id, path: folder.to_owned() });
    }
    Ok(found)
}

fn below(folder: &Path, prefix: &str, depth: usize, looked: &mut usize, found: &mut Vec<Found>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        if *looked >= MOST_FOLDERS || found.len() >= MOST_RUNS {
            break;
        }
        let Ok(entry) = entry else { continue };
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| is_name(name)) else { continue };
        // Of a link this is not a folder's.
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        *looked += 1;
        let (id, path) = (format!("{prefix}{name}"), entry.path());
        if is_run(&path) {
            found.push(Found { id: id.clone(), path: path.clone() });
        }
        if depth > 1 {
            // What cannot be listed holds no run that could be read.
            let _ = below(&path, &format!("{id}/"), depth - 1, looked, found);
        }
    }
    Ok(())
}

/// Checkpoints are parts of runs, and hidden folders are half-written ones.
fn is_name(name: &str) -> bool {
    !name.starts_with('.') && !name.starts_with("checkpoint-")
}

fn is_run(folder: &Path) -> bool {
    MARKS.iter().any(|mark| read::is_file(&folder.join(mark)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn ids(folder: &Path) -> Vec<String> {
        let mut ids: Vec<String> = runs(folder).unwrap().into_iter().map(|run| run.id).collect();
        ids.sort();
        ids
    }

    #[test]
    fn runs_are_found_two_levels_deep_and_no_link_is_followed() {
        let room = tempfile::tempdir().unwrap();
        let root = room.path().join("runs");
        let elsewhere = room.path().join("elsewhere");
        for folder in ["a", "组/b", "a/checkpoint-10", "a/.checkpoint-20.tmp-1-1", "x/y/too-deep", "empty"] {
            fs::create_dir_all(root.join(folder)).unwrap();
            fs::write(root.join(folder).join("trainer_state.json"), "{}").unwrap();
        }
        fs::remove_file(root.join("empty/trainer_state.json")).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("run_config.json"), "{}").unwrap();
        std::os::unix::fs::symlink(&elsewhere, root.join("link")).unwrap();
        fs::create_dir(root.join("file-link")).unwrap();
        std::os::unix::fs::symlink(elsewhere.join("run_config.json"), root.join("file-link/run_config.json")).unwrap();
        assert_eq!(ids(&root), ["a", "组/b"]);
        // The folder itself, beside a run of its name.
        fs::write(root.join("trainer_log.jsonl"), "").unwrap();
        fs::create_dir(root.join("runs")).unwrap();
        fs::write(root.join("runs/trainer_log.jsonl"), "").unwrap();
        assert_eq!(ids(&root), ["a", "runs", "runs_", "组/b"]);
        assert!(runs(&room.path().join("absent")).is_err());
    }
}
