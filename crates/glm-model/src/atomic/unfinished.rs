//! What is being written and has not got its name yet. This process keeps a list of its own, so that a signal can clear it;
//! and a lock on each, which the system takes off a dead process, tells others that it is no leftover.

use super::{FileError, aside_tmp, remove_any};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Temporary paths of this process, and what each is to become.
type List = BTreeMap<PathBuf, PathBuf>;

fn list() -> MutexGuard<'static, List> {
    static LIST: Mutex<List> = Mutex::new(List::new());
    // Every change of it is one operation, so a panic elsewhere leaves it whole.
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A temporary file or folder of this process; removed when it is dropped without [`Unfinished::finish`].
#[derive(Debug)]
pub(super) struct Unfinished {
    path: PathBuf,
    target: PathBuf,
    /// The file itself, or its folder; locked where the system can lock it.
    handle: Option<File>,
}

impl Unfinished {
    /// An empty file that will become `target`.
    pub(super) fn file(target: &Path) -> Result<Self, FileError> {
        let path = aside_tmp(target)?;
        Self::listed(target, path, |path| File::create_new(path).map(Some)).map_err(FileError::at("write", target))
    }

    /// An empty folder that will become `target`.
    pub(super) fn dir(target: &Path) -> Result<Self, FileError> {
        let path = aside_tmp(target)?;
        let make = |path: &Path| fs::create_dir(path).map(|()| File::open(path).ok());
        Self::listed(target, path.clone(), make).map_err(FileError::at("create", &path))
    }

    fn listed(
        target: &Path,
        path: PathBuf,
        make: impl FnOnce(&Path) -> std::io::Result<Option<File>>,
    ) -> std::io::Result<Self> {
        let mut list = list();
        let handle = make(&path)?;
        if let Some(handle) = handle.as_ref().filter(|_| cfg!(unix)) {
            // Elsewhere a lock would keep this process itself from reading what it wrote. A file system may have none.
            let _ = handle.lock();
        }
        list.insert(path.clone(), target.to_owned());
        Ok(Self { path, target: target.to_owned(), handle })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// The file to write to; for folders it is of no use.
    pub(super) fn handle(&self) -> Option<&File> {
        self.handle.as_ref()
    }

    /// Gives it its name by `rename`, which is not begun once [`remove_unfinished`] was called.
    pub(super) fn finish<T>(self, rename: impl FnOnce(&Path, &Path) -> Result<T, FileError>) -> Result<T, FileError> {
        let mut list = list();
        let renamed = rename(&self.path, &self.target)?;
        list.remove(&self.path);
        Ok(renamed)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if list().remove(&self.path).is_some() {
            // Best effort: what stays is found by `remove_leftovers`.
            let _ = remove_any(&self.path);
        }
    }
}

/// While it lives, nothing of this process gets its name and nothing new is begun: whoever tries waits.
#[derive(Debug)]
#[must_use = "what is unfinished stays away only while this is held"]
pub struct Halted {
    _list: MutexGuard<'static, List>,
}

/// Removes everything that this process has not finished, as far as the system lets it: for a process that is about to end.
pub fn remove_unfinished() -> Halted {
    let list = list();
    for (path, target) in &*list {
        // Under another name first: its writer then finds no folder to put more into.
        match aside_tmp(target) {
            Ok(gone) if fs::rename(path, &gone).is_ok() => drop(remove_any(&gone)),
            _ => drop(remove_any(path)),
        }
    }
    Halted { _list: list }
}

/// Whether a living process is writing it.
pub(super) fn is_held(path: &Path) -> bool {
    // Anything else, such as a link, is not ours and not opened.
    let ours = fs::symlink_metadata(path).is_ok_and(|found| found.is_file() || found.is_dir());
    ours && File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
