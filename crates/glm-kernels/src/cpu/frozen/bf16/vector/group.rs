#![allow(unsafe_code)]
//! INT4 with a factor for some neighbouring columns.

use super::form::{Form, Int4};
use crate::cpu::frozen::Matrix;
use std::arch::x86_64::{
    __m512, __m512i, _mm256_maskz_loadu_epi16, _mm512_cvtph_ps, _mm512_fmadd_ps, _mm512_load_si512, _mm512_loadu_si512,
    _mm512_permutexvar_ps, _mm512_setzero_ps,
};

/// INT4 with a factor for every `group` columns. Lane `j` of a sum holds the products of columns `8 j .. 8 j + 8` of a step,
/// so that sums of groups need no sorting.
#[derive(Clone, Copy)]
pub(super) struct Int4Group<'a> {
    scales: &'a [[u8; 2]],
    /// Binary logarithm of the size of a group.
    shift: u32,
    /// Factors of a row.
    of_row: usize,
    /// The factor of every lane, counted from the first of a step.
    lanes: [u32; 16],
}

impl<'a> Int4Group<'a> {
    /// Whether groups are made of whole lanes.
    pub fn suits(group: usize) -> bool {
        group.is_power_of_two() && group >= 8
    }

    /// The factors of a matrix, whose columns are whole groups of a size that [`Int4Group::suits`].
    pub fn new(scales: &'a [[u8; 2]], matrix: &Matrix<'_>, group: usize) -> Self {
        let of_row = matrix.cols / group;
        assert!(scales.len() >= matrix.rows * of_row, "vector product: too few factors");
        let lanes = std::array::from_fn(|j| (8 * j / group) as u32);
        Self { scales, shift: group.trailing_zeros(), of_row, lanes }
    }

    /// Factors of the lanes of a step; those that the row lacks are 0.
    ///
    /// # Safety
    /// As [`Form::step`].
    #[inline(always)]
    unsafe fn factors(&self, row: usize, col: usize) -> __m512 {
        let first = col >> self.shift;
        let count = (self.of_row - first).min(16);
        debug_assert!(row * self.of_row + first + count <= self.scales.len());
        // SAFETY: `count` factors of the row are there; the caller's machine has the sets.
        unsafe {
            let at = self.scales.as_ptr().add(row * self.of_row + first);
            let halves = _mm256_maskz_loadu_epi16((u32::MAX >> (32 - count)) as u16, at.cast());
            _mm512_permutexvar_ps(_mm512_loadu_si512(self.lanes.as_ptr().cast()), _mm512_cvtph_ps(halves))
        }
    }
}

impl Form for Int4Group<'_> {
    const COLS: usize = Int4::COLS;
    const VECTORS: usize = Int4::VECTORS;
    // All weights of a step are there at once.
    const SUMS: usize = 4;

    #[inline(always)]
    fn column(v: usize, i: usize) -> usize {
        Int4::column(v, i)
    }

    // SAFETY: the caller vouches for the sets, as the trait says.
    #[inline(always)]
    unsafe fn weights(self, bytes: __m512i, v: usize) -> __m512i {
        // SAFETY: passed on from the caller.
        unsafe { Int4.weights(bytes, v) }
    }

    // SAFETY: as above, and for the activations.
    #[inline(always)]
    unsafe fn step<const T: usize, const R: usize>(
        self,
        bytes: [__m512i; R],
        (row, col): (usize, usize),
        x: *const __m512i,
        sums: &mut [[__m512; R]; T],
    ) {
        // SAFETY: passed on from the caller, for all below.
        unsafe {
            let mut weights = [bytes; 4];
            for (v, weights) in weights.iter_mut().enumerate() {
                for weights in weights {
                    *weights = self.weights(*weights, v);
                }
            }
            let mut factors = [_mm512_setzero_ps(); R];
            for (r, factors) in factors.iter_mut().enumerate() {
                *factors = self.factors(row + r, col);
            }
            for (t, sums) in sums.iter_mut().enumerate() {
                let mut of_groups = [_mm512_setzero_ps(); R];
                for (v, weights) in weights.iter().enumerate() {
                    let x = _mm512_load_si512(x.add(t * Self::VECTORS + v).cast());
                    for (sum, weights) in of_groups.iter_mut().zip(weights) {
                        *sum = self.add(*sum, x, *weights);
                    }
                }
                for ((sum, of_group), factors) in sums.iter_mut().zip(of_groups).zip(factors) {
                    *sum = _mm512_fmadd_ps(of_group, factors, *sum);
                }
            }
        }
    }
}
