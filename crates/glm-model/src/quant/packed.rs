//! Bytes of a quantized weight, on large pages where the system has them: they are read from front to back for every
//! token, and looking up a small page every 4096 bytes takes a tenth to a fifth of that time.

use memmap2::MmapMut;
use std::ops::{Deref, DerefMut};

/// Bytes below which large pages are not asked for.
const LARGE: usize = 4 << 20;

/// Bytes in memory, beginning at a page.
#[derive(Debug)]
pub struct Packed(Bytes);

#[derive(Debug)]
enum Bytes {
    Held(Vec<u8>),
    Pages(MmapMut),
}

impl Packed {
    /// So many zeros.
    pub fn zeroed(len: usize) -> Self {
        Self(match Self::pages(len) {
            Some(pages) => Bytes::Pages(pages),
            None => Bytes::Held(vec![0; len]),
        })
    }

    /// A copy.
    pub fn copied(bytes: &[u8]) -> Self {
        let mut packed = Self::zeroed(bytes.len());
        packed.copy_from_slice(bytes);
        packed
    }

    fn pages(len: usize) -> Option<MmapMut> {
        if len < LARGE {
            return None;
        }
        let pages = MmapMut::map_anon(len).ok()?;
        // Advice only: a system that has no large pages gives small ones.
        #[cfg(target_os = "linux")]
        let _ = pages.advise(memmap2::Advice::HugePage);
        Some(pages)
    }
}

impl From<Vec<u8>> for Packed {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Bytes::Held(bytes))
    }
}

impl Deref for Packed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Held(bytes) => bytes,
            Bytes::Pages(pages) => pages,
        }
    }
}

impl DerefMut for Packed {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Bytes::Held(bytes) => bytes,
            Bytes::Pages(pages) => pages,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LARGE, Packed};

    #[test]
    fn bytes_are_kept_on_pages_of_any_size() {
        for len in [0, 5, LARGE - 1, LARGE, LARGE + 4097] {
            let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            assert!(Packed::zeroed(len).iter().all(|byte| *byte == 0) && Packed::zeroed(len).len() == len);
            assert!(*Packed::copied(&bytes) == *bytes, "{len}");
        }
    }
}
