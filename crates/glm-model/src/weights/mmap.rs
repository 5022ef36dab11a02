#![allow(unsafe_code)]
//! Read-only memory maps.

use crate::{ModelError, Result};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file mapped for reading.
#[derive(Debug)]
pub struct Mapped {
    path: PathBuf,
    map: memmap2::Mmap,
}

/// A part of a mapped file, which stays mapped as long as this is there.
#[derive(Debug, Clone)]
pub struct MappedPart {
    file: Arc<Mapped>,
    range: Range<usize>,
}

impl MappedPart {
    /// Bytes `range` of a file that has them.
    pub(super) fn new(file: &Arc<Mapped>, range: Range<usize>) -> Self {
        Self { file: Arc::clone(file), range }
    }

    /// Its bytes, still on disk until they are read.
    pub fn bytes(&self) -> &[u8] {
        &self.file.bytes()[self.range.clone()]
    }

    /// Tells the system that these bytes are not needed again soon. Reading them later is still right.
    pub fn release(&self) {
        self.file.release(self.range.clone());
    }
}

impl Mapped {
    /// Maps a file.
    ///
    /// # Errors
    /// When the file cannot be opened or is empty.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(ModelError::io(path))?;
        if file.metadata().map_err(ModelError::io(path))?.len() == 0 {
            return Err(ModelError::file(path, "the file is empty; copy or download it again"));
        }
        // SAFETY: the map is private to this value and only read. If another process shortens the file meanwhile the
        // system ends this one with SIGBUS; no other guarantee is needed, since bytes are only read as plain numbers.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(ModelError::io(path))?;
        Ok(Self { path: path.to_path_buf(), map })
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells the system that these bytes are needed soon, so that it reads them while something else is done.
    pub fn fetch(&self, range: Range<usize>) {
        #[cfg(unix)]
        // Advice only: when the system refuses it, bytes are read when they are used.
        drop(self.map.advise_range(memmap2::Advice::WillNeed, range.start, range.len()));
        #[cfg(not(unix))]
        let _ = range;
    }

    /// Tells the system that these bytes are not needed again soon, so that a file that was read once does not count
    /// as resident memory. Reading them later is still right.
    pub fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        {
            // Whole pages inside the range only: neighbours may belong to a tensor that is still being read.
            const PAGE: usize = 64 * 1024;
            let (first, last) = (range.start.next_multiple_of(PAGE), range.end / PAGE * PAGE);
            if first < last {
                // SAFETY: the map is read-only and backed by a file, so dropped pages are read again from the file.
                let advised =
                    unsafe { self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, first, last - first) };
                // Advice only: when the system refuses it, pages merely stay resident longer.
                drop(advised);
            }
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}
