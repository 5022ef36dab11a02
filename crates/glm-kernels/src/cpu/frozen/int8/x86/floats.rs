//! Panels of weights that are no integers: rounded to integers, with a factor for every lane.

use super::super::quantize::Step;
use super::tile::LANES;
use super::{bytes_of, fours_of, largest_of, magnitude, transposed};
use crate::cpu::frozen::Along;
use std::arch::x86_64::{
    __m128i, __m256i, __m512, __m512i, _mm_loadl_epi64, _mm_unpacklo_epi8, _mm256_loadu_si256, _mm256_set1_epi16,
    _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_castsi512_si256, _mm512_cvtepu8_epi32,
    _mm512_cvtepu16_epi32, _mm512_cvtph_ps, _mm512_extracti64x4_epi64, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_max_epu16, _mm512_max_epu32, _mm512_mul_ps, _mm512_permutexvar_ps, _mm512_set1_epi8, _mm512_set1_epi16,
    _mm512_set1_epi64, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_slli_epi32, _mm512_srlv_epi32,
    _mm512_storeu_si512, _mm512_xor_si512,
};
use std::ops::Range;

/// Rows that give 16 values at a time.
///
/// Methods are inlined into functions that are compiled for AVX-512, and must be called only there.
pub(super) trait Floats: Copy {
    /// Values `col..col + 16` of row `row`, in order; `col` is a multiple of 16.
    ///
    /// # Safety
    /// The machine has AVX-512 F and BW, and the values lie inside the matrix.
    unsafe fn values(self, row: usize, col: usize) -> __m512;

    /// The greater of the magnitudes of values `col..col + 32` of row `row` and those found before, each in its column; in a
    /// form of its own, which begins with zeros. `col` is a multiple of 32.
    ///
    /// # Safety
    /// As [`Floats::values`].
    #[inline(always)]
    unsafe fn greatest(self, before: [__m512i; 2], row: usize, col: usize) -> [__m512i; 2] {
        // SAFETY: passed on from the caller.
        unsafe {
            let of = |half: usize| magnitude(self.values(row, col + half * 16));
            [_mm512_max_epu32(before[0], of(0)), _mm512_max_epu32(before[1], of(1))]
        }
    }

    /// What [`Floats::greatest`] found, as floats without a sign.
    ///
    /// # Safety
    /// As [`Floats::values`].
    #[inline(always)]
    unsafe fn found(greatest: [__m512i; 2]) -> [__m512i; 2] {
        greatest
    }
}

/// Halves without their sign are ordered as integers are: 32 of a row at a time.
///
/// # Safety
/// The machine has AVX-512 F and BW, and 32 values lie at `at`.
#[inline(always)]
unsafe fn greater_halves(before: __m512i, at: *const [u8; 2]) -> __m512i {
    // SAFETY: passed on from the caller.
    unsafe {
        let magnitudes = _mm512_and_si512(_mm512_loadu_si512(at.cast()), _mm512_set1_epi16(0x7fff));
        _mm512_max_epu16(before, magnitudes)
    }
}

/// The halves of a vector.
///
/// # Safety
/// The machine has AVX-512 F.
#[inline(always)]
unsafe fn parts(vector: __m512i) -> [__m256i; 2] {
    // SAFETY: the caller's machine has the set.
    unsafe { [_mm512_castsi512_si256(vector), _mm512_extracti64x4_epi64::<1>(vector)] }
}

/// Single precision, and values of a row.
#[derive(Clone, Copy)]
pub(super) struct F32<'a>(pub &'a [[u8; 4]], pub usize);
/// Half precision.
#[derive(Clone, Copy)]
pub(super) struct F16<'a>(pub &'a [[u8; 2]], pub usize);
/// bfloat16.
#[derive(Clone, Copy)]
pub(super) struct Bf16<'a>(pub &'a [[u8; 2]], pub usize);
/// INT4 with a factor for every `group` columns, which is a multiple of 16.
#[derive(Clone, Copy)]
pub(super) struct Int4Group<'a> {
    pub packed: &'a [u8],
    pub scales: &'a [[u8; 2]],
    pub group: usize,
    pub width: usize,
}

impl Floats for F32<'_> {
    // SAFETY: the caller vouches for the sets and the place, as the trait says.
    #[inline(always)]
    unsafe fn values(self, row: usize, col: usize) -> __m512 {
        debug_assert!(row * self.1 + col + 16 <= self.0.len());
        // SAFETY: passed on from the caller.
        unsafe { _mm512_loadu_ps(self.0.as_ptr().add(row * self.1 + col).cast()) }
    }
}

impl Floats for F16<'_> {
    // SAFETY: as above.
    #[inline(always)]
    unsafe fn values(self, row: usize, col: usize) -> __m512 {
        debug_assert!(row * self.1 + col + 16 <= self.0.len());
        // SAFETY: passed on from the caller.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(self.0.as_ptr().add(row * self.1 + col).cast::<__m256i>())) }
    }

    // SAFETY: as above.
    #[inline(always)]
    unsafe fn greatest(self, before: [__m512i; 2], row: usize, col: usize) -> [__m512i; 2] {
        // SAFETY: passed on from the caller.
        unsafe { [greater_halves(before[0], self.0.as_ptr().add(row * self.1 + col)), before[1]] }
    }

    // SAFETY: as above.
    #[inline(always)]
    unsafe fn found(greatest: [__m512i; 2]) -> [__m512i; 2] {
        // SAFETY: passed on from the caller.
        unsafe { parts(greatest[0]).map(|half| _mm512_castps_si512(_mm512_cvtph_ps(half))) }
    }
}

impl Floats for Bf16<'_> {
    // SAFETY: as above.
    #[inline(always)]
    unsafe fn values(self, row: usize, col: usize) -> __m512 {
        debug_assert!(row * self.1 + col + 16 <= self.0.len());
        // SAFETY: passed on from the caller; bfloat16 is the upper half of a float.
        unsafe {
            let bits = _mm256_loadu_si256(self.0.as_ptr().add(row * self.1 + col).cast::<__m256i>());
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits)))
        }
    }

    // SAFETY: as above.
    #[inline(always)]
    unsafe fn greatest(self, before: [__m512i; 2], row: usize, col: usize) -> [__m512i; 2] {
        // SAFETY: passed on from the caller.
        unsafe { [greater_halves(before[0], self.0.as_ptr().add(row * self.1 + col)), before[1]] }
    }

    // SAFETY: as above.
    #[inline(always)]
    unsafe fn found(greatest: [__m512i; 2]) -> [__m512i; 2] {
        // SAFETY: passed on from the caller.
        unsafe { parts(greatest[0]).map(|half| _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half))) }
    }
}

impl Floats for Int4Group<'_> {
    // SAFETY: as above.
    #[inline(always)]
    unsafe fn values(self, row: usize, col: usize) -> __m512 {
        let at = row * self.width + col;
        debug_assert!(at + 16 <= self.packed.len() * 2);
        // SAFETY: passed on from the caller; a group has a factor.
        unsafe {
            let bytes = _mm_loadl_epi64(self.packed.as_ptr().add(at / 2).cast::<__m128i>());
            // Every byte twice: the first of the pair looks up its high half, the second its low half.
            let twice = _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(bytes, bytes));
            let halves = _mm512_srlv_epi32(twice, _mm512_set1_epi64(4));
            let integers = _mm512_permutexvar_ps(halves, _mm512_loadu_ps(INT4.as_ptr()));
            let scale = i16::from_le_bytes(*self.scales.get_unchecked(at / self.group));
            _mm512_mul_ps(integers, _mm512_cvtph_ps(_mm256_set1_epi16(scale)))
        }
    }
}

/// The integers −8 … 7, by their four bits.
const INT4: [f32; 16] = [0., 1., 2., 3., 4., 5., 6., 7., -8., -7., -6., -5., -4., -3., -2., -1.];

/// Fills `out [fours][LANES]` with unsigned integers of a block; returns what one means in each lane.
///
/// # Safety
/// The machine has AVX-512 F, BW, VL and VBMI; the block of [`LANES`] lanes is whole, lies inside the matrix, and fits.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
pub(super) unsafe fn fill(
    rows: impl Floats,
    along: Along,
    lane: usize,
    sum: Range<usize>,
    out: &mut [u32],
) -> [f32; LANES] {
    // SAFETY: passed on from the caller.
    unsafe {
        match along {
            Along::Columns => across(rows, lane, sum, out),
            Along::Rows => down(rows, lane, sum, out),
        }
    }
}

/// Lanes are rows.
///
/// # Safety
/// As [`fill`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn across<R: Floats>(rows: R, lane: usize, sum: Range<usize>, out: &mut [u32]) -> [f32; LANES] {
    let offset = _mm512_set1_epi8(i8::MIN);
    let steps: [Step; LANES] = std::array::from_fn(|i| {
        let mut greatest = [_mm512_setzero_si512(); 2];
        for col in sum.clone().step_by(32) {
            // SAFETY: the caller vouches for rows and columns.
            greatest = unsafe { rows.greatest(greatest, lane + i, col) };
        }
        // SAFETY: the sets are enabled here.
        let [low, high] = unsafe { R::found(greatest) };
        Step::of(largest_of(_mm512_max_epu32(low, high)))
    });
    for (block, col) in sum.step_by(64).enumerate() {
        for half in 0..2 {
            // SAFETY: the caller vouches for rows, columns and the panel.
            unsafe {
                let integers: [__m512i; 16] = std::array::from_fn(|r| {
                    let i = half * 16 + r;
                    let values = |part: usize| rows.values(lane + i, col + part * 16);
                    bytes_of([values(0), values(1), values(2), values(3)], _mm512_set1_ps(steps[i].inverse))
                });
                let to = out.as_mut_ptr().add(block * 16 * LANES + half * 16);
                for (four, values) in transposed(integers).into_iter().enumerate() {
                    _mm512_storeu_si512(to.add(four * LANES).cast(), _mm512_xor_si512(values, offset));
                }
            }
        }
    }
    steps.map(|step| step.scale)
}

/// Lanes are columns.
///
/// # Safety
/// As [`fill`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn down<R: Floats>(rows: R, lane: usize, sum: Range<usize>, out: &mut [u32]) -> [f32; LANES] {
    let offset = _mm512_set1_epi8(i8::MIN);
    let mut greatest = [_mm512_setzero_si512(); 2];
    for row in sum.clone() {
        // SAFETY: the caller vouches for rows and columns.
        greatest = unsafe { rows.greatest(greatest, row, lane) };
    }
    let mut bits = [0u32; LANES];
    let mut inverses = [_mm512_setzero_ps(); 2];
    // SAFETY: the sets are enabled here.
    for (half, found) in unsafe { R::found(greatest) }.into_iter().enumerate() {
        // SAFETY: the array holds both halves.
        unsafe { _mm512_storeu_si512(bits.as_mut_ptr().add(half * 16).cast(), found) };
    }
    let steps = bits.map(|bits| Step::of(f32::from_bits(bits)));
    let inverse = steps.map(|step| step.inverse);
    for (half, vector) in inverses.iter_mut().enumerate() {
        // SAFETY: as above.
        *vector = unsafe { _mm512_loadu_ps(inverse.as_ptr().add(half * 16)) };
    }
    for (four, row) in sum.step_by(4).enumerate() {
        for (half, inverse) in inverses.into_iter().enumerate() {
            // SAFETY: the caller vouches for rows, columns and the panel.
            unsafe {
                let values = |r: usize| rows.values(row + r, lane + half * 16);
                let integers = fours_of([values(0), values(1), values(2), values(3)], inverse);
                let to = out.as_mut_ptr().add(four * LANES + half * 16);
                _mm512_storeu_si512(to.cast(), _mm512_xor_si512(integers, offset));
            }
        }
    }
    steps.map(|step| step.scale)
}
