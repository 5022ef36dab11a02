//! The cache of Python's `huggingface_hub`: `refs/REVISION` names a commit, `snapshots/COMMIT/FILE` links to
//! `blobs/ETAG`, and `.locks` beside the models keeps processes apart.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::name::{HubName, is_component};

/// Folder of one model.
#[derive(Debug)]
pub struct RepoCache {
    folder: PathBuf,
    locks: PathBuf,
}

/// A revision that was found.
#[derive(Debug)]
pub struct Snapshot {
    /// Its commit.
    pub commit: String,
    /// Its folder, which is there, though perhaps not whole.
    pub folder: PathBuf,
}

impl RepoCache {
    /// That of `name` in `cache`.
    pub fn new(cache: &Path, name: &HubName) -> Self {
        Self { folder: cache.join(name.folder()), locks: cache.join(".locks").join(name.folder()) }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The snapshot of a branch, tag or commit.
    pub fn snapshot(&self, revision: &str) -> Option<Snapshot> {
        let named = std::fs::read_to_string(self.folder.join("refs").join(revision)).ok();
        let commit = named.map_or_else(|| revision.to_owned(), |commit| commit.trim().to_owned());
        let folder = self.snapshot_folder(&commit);
        (is_component(&commit) && folder.is_dir()).then_some(Snapshot { commit, folder })
    }

    /// Folder of a commit.
    pub fn snapshot_folder(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The content with this etag.
    pub fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// Notes that `revision` is `commit`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_ref(&self, revision: &str, commit: &str) -> anyhow::Result<()> {
        if revision == commit {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        let write = || {
            std::fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
            glm_train::atomic::write_file(&path, commit.as_bytes()).map_err(std::io::Error::other)
        };
        write().with_context(|| path.display().to_string())
    }

    /// Waits until no other process fetches the content with this etag; held while the file is open.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn lock(&self, etag: &str) -> anyhow::Result<Option<File>> {
        for folder in [&self.locks, &self.folder.join("blobs")] {
            std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
        }
        let path = self.locks.join(format!("{etag}.lock"));
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => {
                eprintln!("waiting for another process that downloads the same file ({})", path.display());
                file.lock().with_context(|| path.display().to_string())?;
                Ok(Some(file))
            }
            // A file system without locks.
            Err(TryLockError::Error(_)) => Ok(None),
        }
    }
}
