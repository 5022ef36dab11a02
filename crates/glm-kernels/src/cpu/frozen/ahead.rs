#![allow(unsafe_code)]
//! Fetches what a task unpacks next while it multiplies, which leaves memory idle.

use super::{Along, LINE, Matrix};
use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
use std::ops::Range;

/// A block of a matrix.
pub(super) struct Ahead {
    first: *const u8,
    /// Lines, from those that lie closest together to those farthest apart: how many, and how many bytes apart.
    order: [(usize, usize); 3],
}

impl Ahead {
    /// Lanes and part of the sum that come next.
    pub fn new(matrix: &Matrix<'_>, along: Along, lanes: Range<usize>, sum: Range<usize>) -> Self {
        let (rows, cols) = match along {
            Along::Columns => (lanes, sum),
            Along::Rows => (sum, lanes),
        };
        let (packed, bits) = (matrix.bytes(), matrix.bits());
        let lines = ((cols.len() * bits).div_ceil(8 * LINE), packed.line_stride());
        // A block begins with the first of the rows whose lines take turns, and holds all of them.
        let together = packed.turns().min(rows.len());
        let rounds = (rows.len().div_ceil(packed.turns()), packed.stride());
        // Never read from, so it may lie anywhere.
        let first = packed.bytes().as_ptr().wrapping_add(packed.place(rows.start, cols.start * bits / 8));
        Self { first, order: [(together, LINE), lines, rounds] }
    }

    /// Fetches part `part` of `parts`, which are of nearly equal size.
    pub fn fetch(&self, part: usize, parts: usize) {
        let [(together, _), (lines, line_stride), (rounds, stride)] = self.order;
        let of_round = together * lines;
        let all = of_round * rounds;
        let (first, last) = (part * all / parts, (part + 1) * all / parts);
        if first == last {
            return;
        }
        let (mut round, mut line, mut row) = (first / of_round, first % of_round / together, first % together);
        for _ in first..last {
            let at = self.first.wrapping_add(round * stride + line * line_stride + row * LINE);
            // SAFETY: a hint, which reads nothing and cannot fault; every x86-64 processor has it.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) };
            row += 1;
            if row == together {
                (row, line) = (0, line + 1);
            }
            if line == lines {
                (line, round) = (0, round + 1);
            }
        }
    }
}
