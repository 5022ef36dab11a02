#![allow(unsafe_code)]
//! The left matrix of a product, rounded to bfloat16 and laid out for the tile kernel.

use super::panel::transposed;
use super::rows::join;
use rayon::prelude::*;
use std::arch::x86_64::{
    __m256bh, __m256i, __m512, _mm512_castsi512_ps, _mm512_cvtepu16_epi32, _mm512_cvtneps_pbh, _mm512_loadu_ps,
    _mm512_mask_storeu_epi32, _mm512_mul_ps, _mm512_setzero_si512, _mm512_slli_epi32, _mm512_sub_ps,
};

/// Most rows of a tile: with two vectors of columns their sums take 28 of the 32 registers.
pub(super) const MOST_ROWS: usize = 14;

/// Rows `[T, depth]` as blocks of at most [`MOST_ROWS`] rows: pairs of neighbouring columns one after the other, and for each
/// the pairs of all rows of the block.
pub(super) struct Left {
    rows: usize,
    block: usize,
    pairs: usize,
    data: Vec<u32>,
}

/// Which part of a float is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The nearest bfloat16.
    Nearest,
    /// The nearest bfloat16 of what [`Part::Nearest`] leaves.
    Rest,
}

/// Nearest bfloat16, ties to even; a NaN stays one.
pub(super) fn round(value: f32) -> u16 {
    half::bf16::from_f32(value).to_bits()
}

impl Part {
    fn of(self, value: f32) -> u16 {
        let nearest = half::bf16::from_f32(value);
        match self {
            Self::Nearest => nearest.to_bits(),
            Self::Rest => round(value - nearest.to_f32()),
        }
    }
}

impl Left {
    /// Takes a part of `x [T, depth]`, each column times its scale.
    pub fn new(x: &[f32], depth: usize, scales: Option<&[f32]>, part: Part) -> Self {
        let rows = x.len() / depth.max(1);
        // Blocks of nearly equal height.
        let blocks = rows.div_ceil(MOST_ROWS).max(1);
        let block = rows.div_ceil(blocks).max(1);
        let pairs = depth.div_ceil(2);
        let mut data = vec![0u32; rows * pairs];
        let whole = depth / 32 * 32;
        data.par_chunks_mut(block * pairs).zip(x.par_chunks(block * depth)).for_each(|(out, x)| {
            // SAFETY: products are made only where the machine has the sets.
            unsafe { pack(x, depth, scales, part, out) };
            let height = x.len() / depth;
            for (r, row) in x.chunks_exact(depth).enumerate() {
                pack_end(row, whole, scales, part, &mut out[r..], height);
            }
        });
        Self { rows, block, pairs, data }
    }

    /// First row and number of rows of every block.
    pub fn blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (rows, block) = (self.rows, self.block);
        (0..rows).step_by(block).map(move |first| (first, block.min(rows - first)))
    }

    /// Pairs `first..` of the block of `height` rows that begins at row `row`.
    pub fn from(&self, (row, height): (usize, usize), first: usize) -> &[u32] {
        &self.data[row * self.pairs + first * height..(row + height) * self.pairs]
    }
}

/// Packs the columns that fill whole vectors of pairs.
///
/// # Safety
/// The machine has AVX-512 F and BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn pack(x: &[f32], depth: usize, scales: Option<&[f32]>, part: Part, out: &mut [u32]) {
    let height = x.len() / depth;
    assert!(height <= 16 && out.len() >= height * depth.div_ceil(2), "left: block too high or too short");
    assert!(scales.is_none_or(|scales| scales.len() >= depth), "left: too few scales");
    let mask = ((1u32 << height) - 1) as u16;
    for col in (0..depth / 32 * 32).step_by(32) {
        let mut rows = [_mm512_setzero_si512(); 16];
        for (r, packed) in rows.iter_mut().enumerate().take(height) {
            // SAFETY: columns `col..col + 32` of row `r < height` are inside `x`, and of the scales (asserted).
            let load = |offset: usize| unsafe {
                let values = _mm512_loadu_ps(x.as_ptr().add(r * depth + col + offset));
                scales.map_or(values, |s| _mm512_mul_ps(values, _mm512_loadu_ps(s.as_ptr().add(col + offset))))
            };
            let (low, high) = (load(0), load(16));
            let (low, high) = match part {
                Part::Nearest => (low, high),
                Part::Rest => (_mm512_sub_ps(low, nearest(low)), _mm512_sub_ps(high, nearest(high))),
            };
            // SAFETY: the sets are enabled here.
            *packed = unsafe { join(low, high) };
        }
        for (pair, values) in transposed(rows).into_iter().enumerate() {
            // SAFETY: pair `col / 2 + pair` of the block has `height` values (asserted).
            unsafe { _mm512_mask_storeu_epi32(out.as_mut_ptr().add((col / 2 + pair) * height).cast(), mask, values) };
        }
    }
}

/// The nearest bfloat16 of every value, as a float.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn nearest(values: __m512) -> __m512 {
    let rounded: __m256bh = _mm512_cvtneps_pbh(values);
    // SAFETY: both are 32 bytes of the same meaning.
    let rounded: __m256i = unsafe { std::mem::transmute(rounded) };
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(rounded)))
}

/// Writes the pairs of one row from column `first` on, which is even, at every `height`-th place.
fn pack_end(row: &[f32], first: usize, scales: Option<&[f32]>, part: Part, out: &mut [u32], height: usize) {
    let value = |i: usize| row.get(i).map_or(0, |v| u32::from(part.of(scales.map_or(*v, |s| v * s[i]))));
    for col in (first..row.len()).step_by(2) {
        out[col / 2 * height] = value(col) | value(col + 1) << 16;
    }
}
