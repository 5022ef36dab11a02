#![allow(unsafe_code)]
//! Fetches what a task unpacks next while it multiplies, which leaves memory idle.

use super::{Along, Matrix, Values};
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
    /// Lanes and part of the sum that come next.
    pub fn new(matrix: &Matrix<'_>, along: Along, lanes: Range<usize>, sum: Range<usize>) -> Self {
        let (rows, cols) = match along {
            Along::Columns => (lanes, sum),
            Along::Rows => (sum, lanes),
        };
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
        let lines = self.rows * self.lines;
        let (first, last) = (part * lines / parts, (part + 1) * lines / parts);
        let (mut row, mut line) = (first / self.lines.max(1), first % self.lines.max(1));
        for _ in first..last {
            // SAFETY: a hint, which reads nothing and cannot fault; every x86-64 processor has it.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(self.first.wrapping_add(row * self.stride + line * LINE).cast()) };
            line += 1;
            if line == self.lines {
                (row, line) = (row + 1, 0);
            }
        }
    }
}
