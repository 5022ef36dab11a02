#![allow(unsafe_code)]
//! The loop over rows of the matrix: several at a time, for which the activations are loaded once.

use super::activations::Activations;
use super::form::Form;
use crate::cpu::frozen::{LINE, Packed};
use std::arch::x86_64::{
    __m512, __m512i, _MM_HINT_T0, _MM_HINT_T1, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps,
    _mm_prefetch, _mm256_add_ps, _mm256_castpd_ps, _mm256_castps256_ps128, _mm256_extractf128_ps, _mm512_castps_pd,
    _mm512_castps512_ps256, _mm512_extractf64x4_pd, _mm512_loadu_si512, _mm512_maskz_loadu_epi8, _mm512_setzero_ps,
    _mm512_setzero_si512,
};
use std::ops::Range;

/// A multiple of all numbers of rows that are taken at a time.
pub(super) const ROWS: usize = 12;

/// How far ahead of its use a row is fetched from the second-level cache, in lines.
const NEAR: usize = 8;

/// How far ahead of their use rows are fetched from memory, at least, in bytes.
const FAR: usize = 32 << 10;

/// A matrix and what its bytes mean.
pub(super) struct Weights<'a, F> {
    pub form: F,
    pub bytes: Packed<'a>,
}

/// Gives `write` the sums of rows of the matrix: row, row of the activations, sum.
///
/// # Safety
/// The machine has AVX-512 F, BW, VL, VBMI and BF16; the rows lie inside the matrix; the activations are arranged for `F`
/// and as wide.
pub(super) unsafe fn rows<F: Form>(
    weights: &Weights<'_, F>,
    rows: Range<usize>,
    x: &Activations,
    write: impl Fn(usize, usize, f32),
) {
    // As many rows at a time as leave their sums in registers.
    // SAFETY: passed on from the caller; `x` holds vectors for so many tokens.
    unsafe {
        match x.tokens {
            1 => range::<F, 1, 4>(weights, rows, x, write),
            2 if 8 <= F::SUMS => range::<F, 2, 4>(weights, rows, x, write),
            2 => range::<F, 2, 2>(weights, rows, x, write),
            3 if 12 <= F::SUMS => range::<F, 3, 4>(weights, rows, x, write),
            3 => range::<F, 3, 2>(weights, rows, x, write),
            4 if 16 <= F::SUMS => range::<F, 4, 4>(weights, rows, x, write),
            4 => range::<F, 4, 2>(weights, rows, x, write),
            5 if 15 <= F::SUMS => range::<F, 5, 3>(weights, rows, x, write),
            5 => range::<F, 5, 2>(weights, rows, x, write),
            6 if 18 <= F::SUMS => range::<F, 6, 3>(weights, rows, x, write),
            6 => range::<F, 6, 2>(weights, rows, x, write),
            7 if 21 <= F::SUMS => range::<F, 7, 3>(weights, rows, x, write),
            7 => range::<F, 7, 2>(weights, rows, x, write),
            8 if 24 <= F::SUMS => range::<F, 8, 3>(weights, rows, x, write),
            8 => range::<F, 8, 2>(weights, rows, x, write),
            _ => unreachable!("as many tokens as suit"),
        }
    }
}

/// [`rows`] of `T` rows of activations, `R` rows of the matrix at a time.
///
/// # Safety
/// As [`rows`].
unsafe fn range<F: Form, const T: usize, const R: usize>(
    weights: &Weights<'_, F>,
    rows: Range<usize>,
    x: &Activations,
    write: impl Fn(usize, usize, f32),
) {
    let mut row = rows.start;
    while row + R <= rows.end {
        // SAFETY: passed on from the caller.
        let sums = unsafe { sums::<F, T, R>(weights, row, x) };
        for (t, sums) in sums.iter().enumerate() {
            sums.iter().enumerate().for_each(|(r, sum)| write(row + r, t, *sum));
        }
        row += R;
    }
    for row in row..rows.end {
        // SAFETY: passed on from the caller.
        let sums = unsafe { sums::<F, T, 1>(weights, row, x) };
        sums.iter().enumerate().for_each(|(t, [sum])| write(row, t, *sum));
    }
}

/// Sums of the `R` rows that begin with `first`.
///
/// # Safety
/// As [`rows`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx512vbmi")]
unsafe fn sums<F: Form, const T: usize, const R: usize>(
    weights: &Weights<'_, F>,
    first: usize,
    x: &Activations,
) -> [[f32; R]; T] {
    let Weights { form, bytes: packed } = *weights;
    let (row_bytes, line_stride) = (packed.row_bytes(), packed.line_stride());
    debug_assert!(packed.holds(first + R));
    debug_assert!(x.vectors.len() >= row_bytes.div_ceil(LINE) * T * F::VECTORS);
    let starts: [*const u8; R] =
        std::array::from_fn(|r| packed.bytes().as_ptr().wrapping_add(packed.place(first + r, 0)));
    let mut vectors = x.vectors.as_ptr().cast::<__m512i>();
    let mut sums = [[_mm512_setzero_ps(); R]; T];
    let mut bytes = [_mm512_setzero_si512(); R];
    // Rows are used side by side, but are asked of memory one after the other, from front to back, which it answers twice as
    // fast; and for the second-level cache, since the first has no room for so much.
    let turn = first % packed.turns();
    let front = packed.place(first - turn, 0) + turn * row_bytes;
    let far = packed.bytes().as_ptr().wrapping_add(front + (R * row_bytes).max(packed.stride()).max(FAR));
    for step in 0..row_bytes / LINE {
        for (r, bytes) in bytes.iter_mut().enumerate() {
            let row = starts[r].wrapping_add(step * line_stride);
            // SAFETY: the step lies inside the row; a prefetch may be of any place.
            unsafe {
                _mm_prefetch::<_MM_HINT_T1>(far.wrapping_add((step * R + r) * LINE).cast());
                _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(NEAR * line_stride).cast());
                *bytes = _mm512_loadu_si512(row.cast());
            }
        }
        // SAFETY: every step has its vectors; the last ones end where they do.
        unsafe {
            form.step::<T, R>(bytes, (first, step * F::COLS), vectors, &mut sums);
            vectors = vectors.add(T * F::VECTORS);
        }
    }
    let rest = row_bytes % LINE;
    if rest > 0 {
        for (r, bytes) in bytes.iter_mut().enumerate() {
            let at = starts[r].wrapping_add(packed.place(0, row_bytes - rest));
            // SAFETY: only the bytes of the row are read.
            *bytes = unsafe { _mm512_maskz_loadu_epi8(u64::MAX >> (LINE - rest), at.cast()) };
        }
        // SAFETY: as above.
        unsafe { form.step::<T, R>(bytes, (first, row_bytes / LINE * F::COLS), vectors, &mut sums) };
    }
    let mut totals = [[0.0; R]; T];
    for (totals, sums) in totals.iter_mut().zip(&sums) {
        for (out, sum) in totals.iter_mut().zip(sums) {
            *out = total(*sum);
        }
    }
    totals
}

/// The sum of all lanes, in one order.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn total(lanes: __m512) -> f32 {
    let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(lanes)));
    let eight = _mm256_add_ps(_mm512_castps512_ps256(lanes), upper);
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}
