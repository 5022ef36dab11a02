use std::fs;
use std::path::Path;

use glm_train::journal::TrainerState;
use glm_train::run_dir::{
    checkpoint_path, complete_checkpoints, latest_checkpoint, parse_checkpoint_name, rotate_checkpoints,
};

fn checkpoint(output_dir: &Path, step: u64) {
    let path = checkpoint_path(output_dir, step);
    fs::create_dir_all(&path).unwrap();
    let state = TrainerState { global_step: step, ..TrainerState::new(100, 1) };
    state.save(&path.join("trainer_state.json")).unwrap();
}

fn steps(output_dir: &Path) -> Vec<u64> {
    complete_checkpoints(output_dir, &[]).unwrap().iter().map(|c| c.step).collect()
}

#[test]
fn names_are_read_strictly() {
    assert_eq!(parse_checkpoint_name("checkpoint-3000"), Some(3000));
    for name in
        ["checkpoint-", "checkpoint-03", "checkpoint-+3", "checkpoint-3.bak", "my-checkpoint-3", "checkpoint--1"]
    {
        assert_eq!(parse_checkpoint_name(name), None, "{name}");
    }
}

#[test]
fn the_latest_is_the_one_with_the_most_steps_that_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    for step in [9, 100, 20] {
        checkpoint(dir.path(), step);
    }
    // Without a state, with a torn one, with another folder's, and no folder at all.
    fs::create_dir(checkpoint_path(dir.path(), 200)).unwrap();
    checkpoint(dir.path(), 300);
    fs::write(checkpoint_path(dir.path(), 300).join("trainer_state.json"), "{\"epoch\": 1.0, ").unwrap();
    fs::rename(checkpoint_path(dir.path(), 20), checkpoint_path(dir.path(), 400)).unwrap();
    fs::write(checkpoint_path(dir.path(), 500), b"").unwrap();
    assert_eq!(steps(dir.path()), [9, 100]);
    let latest = latest_checkpoint(dir.path(), &[]).unwrap().unwrap();
    assert_eq!((latest.step, latest.path), (100, checkpoint_path(dir.path(), 100)));
}

#[test]
fn a_required_file_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    checkpoint(dir.path(), 1);
    checkpoint(dir.path(), 2);
    fs::write(checkpoint_path(dir.path(), 1).join("optimizer.safetensors"), b"").unwrap();
    assert_eq!(latest_checkpoint(dir.path(), &["optimizer.safetensors"]).unwrap().unwrap().step, 1);
}

#[test]
fn no_folder_has_no_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(latest_checkpoint(&dir.path().join("absent"), &[]).unwrap(), None);
}

#[test]
fn rotation_removes_the_oldest() {
    let dir = tempfile::tempdir().unwrap();
    for step in [2, 10, 3, 1] {
        checkpoint(dir.path(), step);
    }
    let removed = rotate_checkpoints(dir.path(), Some(2), 10).unwrap();
    assert_eq!(removed.iter().map(|c| c.step).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(steps(dir.path()), [3, 10]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn rotation_never_takes_the_newest_and_no_limit_keeps_all() {
    let dir = tempfile::tempdir().unwrap();
    for step in [10, 3000] {
        checkpoint(dir.path(), step);
    }
    assert!(rotate_checkpoints(dir.path(), None, 10).unwrap().is_empty());
    assert!(rotate_checkpoints(dir.path(), Some(0), 10).unwrap().is_empty());
    // 10 was saved just now; 3000 is of an earlier run into the same folder.
    rotate_checkpoints(dir.path(), Some(1), 10).unwrap();
    assert_eq!(steps(dir.path()), [10]);
}
