//! Where the bytes of a frozen matrix lie.

use rayon::prelude::*;
use std::ops::Range;

/// Bytes of a cache line.
pub const LINE: usize = 64;
/// Most rows whose lines take turns.
const MOST_ROWS: usize = 32;
/// Least rows whose lines take turns.
const LEAST_ROWS: usize = 8;
/// Most bytes of rows whose lines take turns, unless there are no more than [`LEAST_ROWS`]: when the first row is used all of them
/// have to be in the second-level cache, and the next ones on their way to it.
const MOST_BYTES: usize = 128 << 10;

/// Bytes of a matrix, of every row as many. They are row-major, as files hold them, or interleaved: the first [`LINE`] bytes of
/// each of 32 rows (fewer when they are long), then the next of each of them, and so on; then as many more rows. A product reads
/// whole rows, its input gradient a few columns of many: interleaved, either is read in long pieces, and so one layout serves
/// both.
#[derive(Debug, Clone, Copy)]
pub struct Packed<'a> {
    bytes: &'a [u8],
    row_bytes: usize,
    /// Rows whose lines take turns: two to this power.
    shift: u32,
    /// From such rows to the next.
    stride: usize,
}

impl<'a> Packed<'a> {
    /// Row-major.
    pub fn rows(bytes: &'a [u8], row_bytes: usize) -> Self {
        Self { bytes, row_bytes, shift: 0, stride: row_bytes }
    }

    /// As [`Interleaved::fill`] arranged them.
    ///
    /// # Panics
    /// When there are not as many.
    pub fn interleaved(bytes: &'a [u8], sizes: Interleaved) -> Self {
        assert_eq!(bytes.len(), sizes.len(), "interleaved rows: another number of bytes");
        Self { bytes, row_bytes: sizes.lines * LINE, shift: sizes.turns.ilog2(), stride: sizes.stride() }
    }

    /// All bytes, however they are arranged.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// Rows whose lines take turns: 1 when row-major.
    pub fn turns(&self) -> usize {
        1 << self.shift
    }

    /// From a [`LINE`] of a row to its next, in bytes.
    #[inline(always)]
    pub fn line_stride(&self) -> usize {
        LINE << self.shift
    }

    /// From the first of [`Packed::turns`] rows to the first of the next, in bytes.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Where byte `byte` of row `row` is.
    #[inline(always)]
    pub fn place(&self, row: usize, byte: usize) -> usize {
        let turn = row & (self.turns() - 1);
        (row >> self.shift) * self.stride + turn * LINE + byte / LINE * self.line_stride() + byte % LINE
    }

    /// Whether so many rows are there.
    pub fn holds(&self, rows: usize) -> bool {
        rows == 0 || self.row_bytes == 0 || self.place(rows - 1, self.row_bytes - 1) < self.bytes.len()
    }

    /// Bytes `range` of row `row`, piece by piece: each a part of one line, or, row-major, all of them.
    pub fn pieces(self, row: usize, range: Range<usize>) -> impl Iterator<Item = &'a [u8]> {
        let mut at = range.start;
        std::iter::from_fn(move || {
            let start = at;
            at = if self.shift == 0 { range.end } else { range.end.min((start / LINE + 1) * LINE) };
            (start < range.end).then(|| &self.bytes[self.place(row, start)..][..at - start])
        })
    }

    /// Without the rows before `first`, which is a multiple of [`Packed::turns`].
    ///
    /// # Panics
    /// When it is none.
    pub fn from_row(&self, first: usize) -> Self {
        assert!(first.is_multiple_of(self.turns()), "a part of interleaved rows begins with row {first}");
        Self { bytes: &self.bytes[self.place(first, 0)..], ..*self }
    }
}

/// Sizes of a matrix of interleaved rows; see [`Packed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interleaved {
    rows: usize,
    /// Rows whose lines take turns.
    turns: usize,
    /// Of a row.
    lines: usize,
}

impl Interleaved {
    /// Of so many rows of so many bytes; `None` where it has no use: when rows are not made of whole lines, or of one.
    pub fn of(rows: usize, row_bytes: usize) -> Option<Self> {
        let mut turns = MOST_ROWS;
        while turns > LEAST_ROWS && turns * row_bytes > MOST_BYTES {
            turns /= 2;
        }
        let useful = row_bytes.is_multiple_of(LINE) && row_bytes > LINE && rows.is_multiple_of(turns) && rows > 0;
        useful.then_some(Self { rows, turns, lines: row_bytes / LINE })
    }

    /// From rows whose lines take turns to the next. A line is left free: without it they are often a power of two apart, and the
    /// columns that a gradient takes of all of them fall into the same places of the caches.
    fn stride(&self) -> usize {
        (self.turns * self.lines + 1) * LINE
    }

    /// Bytes that they take.
    #[allow(clippy::len_without_is_empty)] // Never empty.
    pub fn len(&self) -> usize {
        self.rows / self.turns * self.stride()
    }

    /// Arranges row-major bytes; those that are left free stay as they are.
    ///
    /// # Panics
    /// When lengths differ from these sizes.
    pub fn fill(&self, row_major: &[u8], out: &mut [u8]) {
        let row_bytes = self.lines * LINE;
        assert_eq!(row_major.len(), self.rows * row_bytes, "interleaved rows: rows of another size");
        assert_eq!(out.len(), self.len(), "interleaved rows: another number of bytes");
        out.par_chunks_mut(self.stride()).zip(row_major.par_chunks(self.turns * row_bytes)).for_each(|(out, rows)| {
            for (line, out) in out.chunks_exact_mut(self.turns * LINE).enumerate() {
                for (row, out) in rows.chunks_exact(row_bytes).zip(out.chunks_exact_mut(LINE)) {
                    out.copy_from_slice(&row[line * LINE..][..LINE]);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_found_in_interleaved_rows() {
        for (rows, row_bytes) in [(32, 128), (96, 192), (1056, 256), (48, 8192), (24, 8256), (8, 32768)] {
            let bytes: Vec<u8> = (0..rows * row_bytes).map(|i| (i * 7 % 251) as u8).collect();
            let sizes = Interleaved::of(rows, row_bytes).unwrap();
            let mut out = vec![0; sizes.len()];
            sizes.fill(&bytes, &mut out);
            let (plain, packed) = (Packed::rows(&bytes, row_bytes), Packed::interleaved(&out, sizes));
            assert!([plain, packed].iter().all(|packed| packed.holds(rows) && !packed.holds(rows + 1)));
            for row in 0..rows {
                for range in [0..row_bytes, 3..row_bytes - 5, 64..65, 9..9] {
                    let found = |packed: Packed<'_>| packed.pieces(row, range.clone()).collect::<Vec<_>>().concat();
                    assert_eq!(found(packed), found(plain));
                    assert_eq!(found(packed), bytes[row * row_bytes..][range.clone()]);
                }
                let first = row / packed.turns() * packed.turns();
                let part = packed.from_row(first);
                assert_eq!(part.bytes()[part.place(row - first, 70)], bytes[row * row_bytes + 70]);
            }
        }
        assert!([(32, 100), (32, 64), (0, 128), (48, 128)].iter().all(|(r, b)| Interleaved::of(*r, *b).is_none()));
    }

    #[test]
    #[should_panic = "begins with row 5"]
    fn a_part_begins_with_the_first_row_that_takes_turns() {
        let (sizes, bytes) = (Interleaved::of(32, 128).unwrap(), [0; 32 * 128 + 64]);
        Packed::interleaved(&bytes, sizes).from_row(5);
    }
}
