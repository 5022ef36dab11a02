//! Files and folders that are complete or not there, whatever instruction the process is killed at.
//!
//! Everything is written beside its place under a name `.<name>.tmp-<pid>-<n>`, flushed to the disk, and renamed. A folder
//! that is being replaced is first set aside as `.<name>.old-<pid>-<n>`. [`remove_leftovers`] clears what a killed run left,
//! [`remove_unfinished`] what a process would leave that is about to end.

mod unfinished;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

pub use unfinished::{Halted, remove_unfinished};
use unfinished::{Unfinished, is_held};

/// A file operation that failed.
#[derive(Debug, Error)]
#[error("cannot {action} {path}: {source}")]
pub struct FileError {
    /// What was tried, e.g. `write`.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

impl FileError {
    /// For `map_err`: names what was tried and where.
    pub fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, path: path.to_owned(), source }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Aside {
    /// Unfinished.
    Tmp,
    /// Finished, waiting for its replacement.
    Old,
}

fn aside(path: &Path, kind: Aside) -> Result<PathBuf, FileError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
        let no_name = io::Error::new(io::ErrorKind::InvalidInput, "the path has no name in UTF-8 at its end");
        return Err(FileError::at("write", path)(no_name));
    };
    let kind = if kind == Aside::Tmp { "tmp" } else { "old" };
    let (pid, n) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    Ok(path.with_file_name(format!(".{name}.{kind}-{pid}-{n}")))
}

fn aside_tmp(path: &Path) -> Result<PathBuf, FileError> {
    aside(path, Aside::Tmp)
}

/// The final name that a leftover was meant for, and its kind.
fn parse_aside(name: &str) -> Option<(&str, Aside)> {
    let rest = name.strip_prefix('.')?;
    let (rest, n) = rest.rsplit_once('-')?;
    let (rest, pid) = rest.rsplit_once('-')?;
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let (target, kind) = match rest.strip_suffix(".tmp") {
        Some(target) => (target, Aside::Tmp),
        None => (rest.strip_suffix(".old")?, Aside::Old),
    };
    (number(n) && number(pid) && !target.is_empty()).then_some((target, kind))
}

/// Folder that holds `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl From<FileError> for crate::ModelError {
    fn from(error: FileError) -> Self {
        Self::file(&error.path, format!("cannot {} it: {}", error.action, error.source))
    }
}

/// Makes renames and new names in `dir` durable.
fn sync_dir(dir: &Path) -> Result<(), FileError> {
    if cfg!(unix) {
        File::open(dir).and_then(|d| d.sync_all()).map_err(FileError::at("flush", dir))?;
    }
    Ok(())
}

/// Writes `bytes` as the file at `path`: a reader sees the old file or the new one, never a part.
///
/// # Errors
/// When the folder is absent or the disk refuses; the old file is then untouched.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_file_with(path, |out| out.write_all(bytes))
}

/// As [`write_file`], with the content written piece by piece.
///
/// # Errors
/// As [`write_file`], and whatever `content` returns.
pub fn write_file_with(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), FileError> {
    let file = AtomicFile::create(path)?;
    file.write(content)?;
    file.commit()
}

/// A file in the making, which can be read again before it appears at its place with [`AtomicFile::commit`].
#[derive(Debug)]
pub struct AtomicFile(Unfinished);

impl AtomicFile {
    /// Begins the file `target`, whose folder must exist.
    ///
    /// # Errors
    /// When the path has no name at its end, the folder is absent or the disk refuses.
    pub fn create(target: &Path) -> Result<Self, FileError> {
        Ok(Self(Unfinished::file(target)?))
    }

    /// Where the content lies until [`AtomicFile::commit`].
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes the content and flushes it to the disk.
    ///
    /// # Errors
    /// When the disk refuses, and whatever `content` returns.
    pub fn write(&self, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), FileError> {
        let written = self.0.handle().ok_or_else(|| io::ErrorKind::NotFound.into()).and_then(|file| {
            let mut out = BufWriter::new(file);
            content(&mut out)?;
            out.into_inner().map_err(|e| e.into_error())?.sync_all()
        });
        written.map_err(FileError::at("write", self.0.target()))
    }

    /// Gives the file its name; a file of that name is replaced.
    ///
    /// # Errors
    /// When the disk refuses; the old file is then untouched.
    pub fn commit(self) -> Result<(), FileError> {
        self.0.finish(|tmp, target| {
            fs::rename(tmp, target).map_err(FileError::at("write", target))?;
            sync_dir(parent(target))
        })
    }
}

/// A folder in the making; it appears at its place only with [`AtomicDir::commit`].
#[derive(Debug)]
pub struct AtomicDir(Unfinished);

impl AtomicDir {
    /// Begins the folder `target`, whose parent must exist.
    ///
    /// # Errors
    /// When the parent is absent or cannot be written to.
    pub fn create(target: &Path) -> Result<Self, FileError> {
        Ok(Self(Unfinished::dir(target)?))
    }

    /// Where to write the folder's files until [`AtomicDir::commit`].
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Flushes every file and gives the folder its name; a folder of that name is replaced as a whole.
    ///
    /// # Errors
    /// When the disk refuses; the folder that was there before is then there still.
    pub fn commit(self) -> Result<(), FileError> {
        sync_tree(self.0.path())?;
        match self.0.finish(replace_dir)? {
            Some(old) => remove_any(&old),
            None => Ok(()),
        }
    }
}

/// Gives the folder `tmp` the name `target`; returns where the folder of that name was set aside.
fn replace_dir(tmp: &Path, target: &Path) -> Result<Option<PathBuf>, FileError> {
    let replaced = match fs::symlink_metadata(target) {
        Ok(_) => {
            // An exchange in one instant is not portable; a kill between the two renames is undone by `remove_leftovers`.
            let old = aside(target, Aside::Old)?;
            fs::rename(target, &old).map_err(FileError::at("replace", target))?;
            Some(old)
        }
        Err(_) => None,
    };
    if let Err(e) = fs::rename(tmp, target) {
        if let Some(old) = &replaced {
            let _ = fs::rename(old, target);
        }
        return Err(FileError::at("rename", target)(e));
    }
    sync_dir(parent(target))?;
    Ok(replaced)
}

fn sync_tree(dir: &Path) -> Result<(), FileError> {
    for entry in fs::read_dir(dir).map_err(FileError::at("read", dir))? {
        let entry = entry.map_err(FileError::at("read", dir))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(FileError::at("read", &path))?;
        if kind.is_dir() {
            sync_tree(&path)?;
        } else if kind.is_file() {
            File::open(&path).and_then(|f| f.sync_all()).map_err(FileError::at("flush", &path))?;
        }
    }
    sync_dir(dir)
}

/// Removes a file or folder without following links.
fn remove_any(path: &Path) -> Result<(), FileError> {
    let kind = fs::symlink_metadata(path).map_err(FileError::at("remove", path))?.file_type();
    let removed = if kind.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(FileError::at("remove", path))
}

/// Removes a folder so that no kill leaves a part of it under its name.
///
/// # Errors
/// When the system refuses.
pub fn remove_dir(dir: &Path) -> Result<(), FileError> {
    let tmp = aside(dir, Aside::Tmp)?;
    fs::rename(dir, &tmp).map_err(FileError::at("remove", dir))?;
    remove_any(&tmp)
}

/// Clears what killed runs left in `dir` and returns the paths dealt with: unfinished files and folders are removed; a folder
/// that was set aside comes back when its replacement never arrived, else it is removed. What a living process is writing
/// stays, where the file system has locks.
///
/// To be called once at the start of a run, before anything is written.
///
/// # Errors
/// When `dir` cannot be read or something cannot be removed. An absent `dir` has no leftovers.
pub fn remove_leftovers(dir: &Path) -> Result<Vec<PathBuf>, FileError> {
    clear(dir, |_| true)
}

/// As [`remove_leftovers`], of those alone that were to become `target`: beside it may lie what is somebody else's.
///
/// # Errors
/// As [`remove_leftovers`].
pub fn remove_leftovers_of(target: &Path) -> Result<Vec<PathBuf>, FileError> {
    let Some(name) = target.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    clear(parent(target), |found| found == name)
}

/// Clears the leftovers in `dir` whose final names are `wanted`.
fn clear(dir: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, FileError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(FileError::at("read", dir)(e)),
    };
    let mut handled = Vec::new();
    for entry in entries {
        let entry = entry.map_err(FileError::at("read", dir))?;
        let name = entry.file_name();
        let Some((target, kind)) = name.to_str().and_then(parse_aside).filter(|(name, _)| wanted(name)) else {
            continue;
        };
        let (path, target) = (entry.path(), dir.join(target));
        if is_held(&path) {
            continue;
        }
        if kind == Aside::Old && fs::symlink_metadata(&target).is_err() {
            fs::rename(&path, &target).map_err(FileError::at("restore", &target))?;
        } else {
            remove_any(&path)?;
        }
        handled.push(path);
    }
    if !handled.is_empty() {
        sync_dir(dir)?;
    }
    handled.sort();
    Ok(handled)
}
