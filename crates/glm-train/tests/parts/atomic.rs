use std::fs;
use std::path::Path;

use glm_train::atomic::{
    AtomicDir, AtomicFile, remove_dir, remove_leftovers, remove_leftovers_of, write_file, write_file_with,
};

/// Names in a folder, sorted.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_and_nothing_stays_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("状态.json");
    write_file(&path, b"old").unwrap();
    write_file(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(names(dir.path()), ["状态.json"]);
}

#[test]
fn a_failing_writer_leaves_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.json");
    write_file(&path, b"old").unwrap();
    let failed = write_file_with(&path, |out| {
        out.write_all(b"half of the new")?;
        Err(std::io::Error::other("disk full"))
    });
    let message = failed.unwrap_err().to_string();
    assert!(message.contains("state.json") && message.contains("disk full"), "{message}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(dir.path()), ["state.json"]);
}

#[test]
fn a_folder_appears_only_when_committed() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("checkpoint-5");
    let folder = AtomicDir::create(&target).unwrap();
    fs::write(folder.path().join("a"), b"1").unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/b"), b"2").unwrap();
    assert!(!target.exists());
    folder.commit().unwrap();
    assert_eq!(fs::read(target.join("sub/b")).unwrap(), b"2");
    assert_eq!(names(dir.path()), ["checkpoint-5"]);
}

#[test]
fn a_folder_is_replaced_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("checkpoint-5");
    for name in ["old", "new"] {
        let folder = AtomicDir::create(&target).unwrap();
        fs::write(folder.path().join(name), b"x").unwrap();
        folder.commit().unwrap();
    }
    assert_eq!(names(&target), ["new"]);
    assert_eq!(names(dir.path()), ["checkpoint-5"]);
}

#[test]
fn an_abandoned_folder_goes_away() {
    let dir = tempfile::tempdir().unwrap();
    let folder = AtomicDir::create(&dir.path().join("checkpoint-5")).unwrap();
    fs::write(folder.path().join("a"), b"1").unwrap();
    drop(folder);
    assert!(names(dir.path()).is_empty());
}

/// What a process leaves that is killed: destructors do not run, and its locks are gone.
fn killed_while_writing(target: &Path) {
    let name = format!(".{}.tmp-4711-9", target.file_name().unwrap().to_str().unwrap());
    let folder = target.with_file_name(name);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("half"), b"1").unwrap();
}

#[cfg(unix)]
#[test]
fn what_a_living_process_writes_is_no_leftover() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, file) = (dir.path().join("checkpoint-5"), dir.path().join("model.gguf"));
    killed_while_writing(&folder);
    let (folder, file) = (AtomicDir::create(&folder).unwrap(), AtomicFile::create(&file).unwrap());
    fs::write(folder.path().join("a"), b"1").unwrap();
    assert_eq!(remove_leftovers(dir.path()).unwrap().len(), 1);
    file.write(|out| out.write_all(b"whole")).unwrap();
    assert_eq!(fs::read(file.path()).unwrap(), b"whole");
    file.commit().unwrap();
    folder.commit().unwrap();
    assert_eq!(names(dir.path()), ["checkpoint-5", "model.gguf"]);
}

#[test]
fn leftovers_of_one_place_are_told_from_those_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("out");
    for name in ["out", "other", "out.old"] {
        killed_while_writing(&dir.path().join(name));
    }
    fs::write(dir.path().join(".out.tmp-1-0"), b"").unwrap();
    assert_eq!(remove_leftovers_of(&place).unwrap().len(), 2);
    assert_eq!(names(dir.path()), [".other.tmp-4711-9", ".out.old.tmp-4711-9"]);
    assert!(remove_leftovers_of(Path::new("/")).unwrap().is_empty());
    assert!(remove_leftovers_of(&dir.path().join("absent/out")).unwrap().is_empty());
}

#[test]
fn the_next_start_clears_what_a_kill_left() {
    let dir = tempfile::tempdir().unwrap();
    let done = dir.path().join("checkpoint-5");
    AtomicDir::create(&done).unwrap().commit().unwrap();
    killed_while_writing(&dir.path().join("checkpoint-10"));
    fs::write(dir.path().join(".trainer_state.json.tmp-4711-3"), b"{\"ep").unwrap();
    // Killed after the new folder took its place, before the old one was removed.
    fs::create_dir(dir.path().join(".checkpoint-5.old-4711-4")).unwrap();
    // A run's own files and those of others, which only look similar.
    for name in [".hidden", "notes.tmp-1-2", ".cache.tmp-x-1", ".tmp-1-2", ".a.tmp-1"] {
        fs::write(dir.path().join(name), b"").unwrap();
    }
    let handled = remove_leftovers(dir.path()).unwrap();
    assert_eq!(handled.len(), 3, "{handled:?}");
    assert_eq!(
        names(dir.path()),
        [".a.tmp-1", ".cache.tmp-x-1", ".hidden", ".tmp-1-2", "checkpoint-5", "notes.tmp-1-2"]
    );
    assert!(remove_leftovers(dir.path()).unwrap().is_empty());
}

#[test]
fn a_folder_killed_between_its_two_renames_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let aside = dir.path().join(".checkpoint-5.old-4711-0");
    fs::create_dir(&aside).unwrap();
    fs::write(aside.join("a"), b"complete").unwrap();
    killed_while_writing(&dir.path().join("checkpoint-5"));
    remove_leftovers(dir.path()).unwrap();
    assert_eq!(names(dir.path()), ["checkpoint-5"]);
    assert_eq!(fs::read(dir.path().join("checkpoint-5/a")).unwrap(), b"complete");
}

#[cfg(unix)]
#[test]
fn a_link_among_the_leftovers_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("precious"), b"1").unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join(".checkpoint-5.tmp-1-1")).unwrap();
    remove_leftovers(dir.path()).unwrap();
    assert!(names(dir.path()).is_empty());
    assert_eq!(names(outside.path()), ["precious"]);
}

#[test]
fn an_absent_folder_has_no_leftovers_and_cannot_be_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent");
    assert!(remove_leftovers(&absent).unwrap().is_empty());
    let message = write_file(&absent.join("x.json"), b"").unwrap_err().to_string();
    assert!(message.starts_with("cannot write") && message.contains("x.json"), "{message}");
    assert!(AtomicDir::create(&absent.join("checkpoint-1")).is_err());
    assert!(write_file(Path::new("/"), b"").is_err());
}

#[test]
fn removing_a_folder_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("checkpoint-1");
    fs::create_dir_all(target.join("deep/er")).unwrap();
    remove_dir(&target).unwrap();
    assert!(names(dir.path()).is_empty());
}
