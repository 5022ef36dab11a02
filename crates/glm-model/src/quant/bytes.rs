//! Where the bytes of a frozen weight are.

use super::packed::Packed;
use crate::weights::MappedPart;
use std::ops::Deref;

/// Bytes of a frozen weight.
#[derive(Debug)]
pub(super) enum Bytes {
    /// In memory of their own.
    Held(Packed),
    /// In the file that they were read from: the system reads pages when they are used, and may drop them again.
    Mapped(MappedPart),
}

impl Bytes {
    /// Those of `file` when it is given, else a copy of `bytes`, which are the same.
    pub(super) fn of(bytes: &[u8], file: Option<MappedPart>) -> Self {
        file.map_or_else(|| Self::Held(Packed::copied(bytes)), Self::Mapped)
    }

    /// Whether they lie in a file.
    pub(super) fn is_mapped(&self) -> bool {
        matches!(self, Self::Mapped(_))
    }

    /// Says that they are not used again soon: what lies in a file need not stay in memory.
    pub(super) fn release(&self) {
        if let Self::Mapped(part) = self {
            part.release();
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Held(bytes) => bytes,
            Self::Mapped(part) => part.bytes(),
        }
    }
}
