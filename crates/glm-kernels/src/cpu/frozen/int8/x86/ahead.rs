//! Fetches what a task unpacks next while it multiplies, which leaves memory idle.

use crate::cpu::frozen::{Matrix, Values};
use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
use std::ops::Range;

/// Bytes of a cache line.
const LINE: usize = 64;

/// A block of a matrix.
pub(super) struct Ahead {
    first: *const u8,
    /// Bytes of a row of the matrix.
    stride: usize,
    rows: usize,
    /// Cache lines of a row of the block.
    lines: usize,
}

impl Ahead {
    pub fn new(matrix: &Matrix<'_>, rows: Range<usize>, cols: Range<usize>) -> Self {
        let (first, bits) = match matrix.values {
            Values::F32(v) => (v.as_ptr().cast::<u8>(), 32),
            Values::F16(v) | Values::Bf16(v) => (v.as_ptr().cast(), 16),
            Values::Int8(v) => (v.as_ptr(), 8),
            Values::Int4(v) | Values::Int4Group { packed: v, .. } => (v.as_ptr(), 4),
        };
        let bytes = |values: usize| values * bits / 8;
        Self {
            // Never read from, so it may lie anywhere.
            first: first.wrapping_add(bytes(rows.start * matrix.cols + cols.start)),
            stride: bytes(matrix.cols),
            rows: rows.len(),
            lines: bytes(cols.len()).div_ceil(LINE),
        }
    }

    /// Fetches part `part` of `parts`, which are of nearly equal size.
    pub fn fetch(&self, part: usize, parts: usize) {
        let all = self.rows * self.lines;
        for at in part * all / parts..(part + 1) * all / parts {
            let line = self.first.wrapping_add(at / self.lines * self.stride + at % self.lines * LINE);
            // SAFETY: a hint, which reads nothing and cannot fault; every x86-64 processor has it.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) };
        }
    }
}
