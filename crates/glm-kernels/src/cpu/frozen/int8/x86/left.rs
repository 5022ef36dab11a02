//! The left matrix of a product as integers, laid out for the tile kernel.

use super::super::BLOCK;
use super::super::quantize::Step;
use super::tile::MOST_ROWS;
use super::{bytes_of, largest_of, transposed};
use rayon::prelude::*;
use std::arch::x86_64::{
    _mm512_dpbusd_epi32, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_storeu_epi32, _mm512_max_epu32,
    _mm512_reduce_add_epi32, _mm512_set1_epi8, _mm512_set1_ps, _mm512_setzero_si512,
};

/// Values of a sum are padded to a multiple of this, with zeros.
pub(super) const ALIGN: usize = 64;

/// Rows `[T, depth]` in strips of at most [`MOST_ROWS`] rows; in each the blocks of the sum one after the other; in each fours
/// of neighbouring columns one after the other, and for each the fours of all rows of the strip.
pub(super) struct Left {
    rows: usize,
    height: usize,
    /// Fours of a row, padding included.
    fours: usize,
    data: Vec<u32>,
    /// `[strip][block][row]`, as are `sums`.
    steps: Vec<f32>,
    sums: Vec<i32>,
}

/// A block of a strip.
pub(super) struct Part<'a> {
    /// `[fours][height]`.
    pub data: &'a [u32],
    /// Factor of every row.
    pub steps: &'a [f32],
    /// Sum of every row's integers.
    pub sums: &'a [i32],
}

/// Fours of `depth` values.
fn padded_fours(depth: usize) -> usize {
    depth.next_multiple_of(ALIGN) / 4
}

impl Left {
    /// Takes `x [T, depth]`, each column times its scale.
    pub fn new(x: &[f32], depth: usize, scales: Option<&[f32]>) -> Self {
        assert!(scales.is_none_or(|scales| scales.len() >= depth), "left: too few scales");
        let rows = x.len() / depth.max(1);
        // Strips of nearly equal height.
        let strips = rows.div_ceil(MOST_ROWS).max(1);
        let height = rows.div_ceil(strips).max(1);
        let (fours, blocks) = (padded_fours(depth), depth.div_ceil(BLOCK));
        let (mut data, mut steps, mut sums) = (vec![0; rows * fours], vec![0.0; rows * blocks], vec![0; rows * blocks]);
        let parts = data.par_chunks_mut(height * fours).zip(steps.par_chunks_mut(height * blocks));
        let parts = parts.zip(sums.par_chunks_mut(height * blocks)).zip(x.par_chunks(height * depth));
        parts.for_each(|(((data, steps), sums), x)| {
            let height = x.len() / depth;
            for block in 0..blocks {
                let range = block * height..(block + 1) * height;
                let data = &mut data[block * BLOCK / 4 * height..];
                // SAFETY: products are made only where the machine has the sets.
                unsafe { pack(x, depth, block, scales, data, &mut steps[range.clone()], &mut sums[range]) };
            }
        });
        Self { rows, height, fours, data, steps, sums }
    }

    /// First row and number of rows of every strip.
    pub fn strips(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (rows, height) = (self.rows, self.height);
        (0..rows).step_by(height).map(move |first| (first, height.min(rows - first)))
    }

    /// Block `block` of the strip of `height` rows that begins at row `row`.
    pub fn part(&self, (row, height): (usize, usize), block: usize) -> Part<'_> {
        let blocks = self.steps.len() / self.rows;
        let factors = row * blocks + block * height..row * blocks + (block + 1) * height;
        let first = row * self.fours + block * BLOCK / 4 * height;
        let last = (first + BLOCK / 4 * height).min((row + height) * self.fours);
        Part { data: &self.data[first..last], steps: &self.steps[factors.clone()], sums: &self.sums[factors] }
    }
}

/// Packs one block of a strip.
///
/// # Safety
/// The machine has AVX-512 F, BW, VL, VBMI and VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")]
unsafe fn pack(
    x: &[f32],
    depth: usize,
    block: usize,
    scales: Option<&[f32]>,
    out: &mut [u32],
    steps: &mut [f32],
    sums: &mut [i32],
) {
    let height = steps.len();
    let columns = block * BLOCK..((block + 1) * BLOCK).min(depth);
    let padded = columns.len().next_multiple_of(ALIGN);
    assert!(height <= MOST_ROWS && out.len() >= height * padded / 4, "left: strip too high or too short");
    let mut bytes = [[0u8; BLOCK]; MOST_ROWS];
    for (r, bytes) in bytes.iter_mut().enumerate().take(height) {
        let mut values = [0.0f32; BLOCK];
        values[..columns.len()].copy_from_slice(&x[r * depth..][columns.clone()]);
        if let Some(scales) = scales {
            values.iter_mut().zip(&scales[columns.clone()]).for_each(|(v, s)| *v *= s);
        }
        let mut largest = _mm512_setzero_si512();
        for at in (0..padded).step_by(16) {
            // SAFETY: `padded` is at most BLOCK.
            let values = unsafe { _mm512_loadu_ps(values.as_ptr().add(at)) };
            largest = _mm512_max_epu32(largest, super::magnitude(values));
        }
        let step = Step::of(largest_of(largest));
        let (inverse, ones) = (_mm512_set1_ps(step.inverse), _mm512_set1_epi8(1));
        let mut sum = _mm512_setzero_si512();
        for at in (0..padded).step_by(ALIGN) {
            // SAFETY: as above.
            unsafe {
                let load = |part: usize| _mm512_loadu_ps(values.as_ptr().add(at + part * 16));
                let integers = bytes_of([load(0), load(1), load(2), load(3)], inverse);
                sum = _mm512_dpbusd_epi32(sum, ones, integers);
                std::arch::x86_64::_mm512_storeu_si512(bytes.as_mut_ptr().add(at).cast(), integers);
            }
        }
        (steps[r], sums[r]) = (step.scale, _mm512_reduce_add_epi32(sum));
    }
    let mask = ((1u32 << height) - 1) as u16;
    for at in (0..padded).step_by(ALIGN) {
        let rows = std::array::from_fn(|r| match bytes.get(r) {
            // SAFETY: `at + 64` is at most BLOCK.
            Some(row) => unsafe { _mm512_loadu_si512(row.as_ptr().add(at).cast()) },
            None => _mm512_setzero_si512(),
        });
        for (four, values) in transposed(rows).into_iter().enumerate() {
            // SAFETY: four `at / 4 + four` of the block has `height` values (asserted).
            unsafe { _mm512_mask_storeu_epi32(out.as_mut_ptr().add((at / 4 + four) * height).cast(), mask, values) };
        }
    }
}
