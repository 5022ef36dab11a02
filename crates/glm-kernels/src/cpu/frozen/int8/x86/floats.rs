//! Panels of weights that are no integers: rounded to integers, with a factor for every lane.

use super::super::quantize::Step;
use super::tile::LANES;
use super::{bytes_of, fours_of, largest_of, magnitude, transposed};
use crate::cpu::frozen::Along;
use std::arch::x86_64::{
    __m128i, __m256i, __m512, __m512i, _mm_loadl_epi64, _mm256_loadu_si256, _mm512_castsi512_ps, _mm512_cvtepi32_ps,
    _mm512_cvtepu8_epi32, _mm512_cvtepu16_epi32, _mm512_cvtph_ps, _mm512_loadu_ps, _mm512_max_epu32, _mm512_mul_ps,
    _mm512_set1_epi8, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_slli_epi32, _mm512_srai_epi32,
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
            // Every byte twice, moved up so that its high or low half ends at the sign.
            let twice = std::arch::x86_64::_mm_unpacklo_epi8(bytes, bytes);
            let places = in_turn(24, 28);
            let integers = std::arch::x86_64::_mm512_sllv_epi32(_mm512_cvtepu8_epi32(twice), places);
            let integers = _mm512_cvtepi32_ps(_mm512_srai_epi32::<28>(integers));
            let scale = half::f16::from_le_bytes(self.scales[at / self.group]).to_f32();
            _mm512_mul_ps(integers, _mm512_set1_ps(scale))
        }
    }
}

/// Elements in turn `even` and `odd`.
///
/// # Safety
/// The machine has AVX-512 F.
#[inline(always)]
unsafe fn in_turn(even: i64, odd: i64) -> __m512i {
    // SAFETY: the caller's machine has the set.
    unsafe { std::arch::x86_64::_mm512_set1_epi64(odd << 32 | even) }
}

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
unsafe fn across(rows: impl Floats, lane: usize, sum: Range<usize>, out: &mut [u32]) -> [f32; LANES] {
    let offset = _mm512_set1_epi8(i8::MIN);
    let steps: [Step; LANES] = std::array::from_fn(|i| {
        let mut most = [_mm512_setzero_si512(); 2];
        for col in sum.clone().step_by(32) {
            for (half, most) in most.iter_mut().enumerate() {
                // SAFETY: the caller vouches for rows and columns.
                let values = unsafe { rows.values(lane + i, col + half * 16) };
                *most = _mm512_max_epu32(*most, magnitude(values));
            }
        }
        Step::of(largest_of(_mm512_max_epu32(most[0], most[1])))
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
unsafe fn down(rows: impl Floats, lane: usize, sum: Range<usize>, out: &mut [u32]) -> [f32; LANES] {
    let offset = _mm512_set1_epi8(i8::MIN);
    let mut most = [_mm512_setzero_si512(); 2];
    for row in sum.clone() {
        for (half, most) in most.iter_mut().enumerate() {
            // SAFETY: the caller vouches for rows and columns.
            let values = unsafe { rows.values(row, lane + half * 16) };
            *most = _mm512_max_epu32(*most, magnitude(values));
        }
    }
    let mut bits = [0u32; LANES];
    let mut inverses = [_mm512_setzero_ps(); 2];
    for (half, most) in most.into_iter().enumerate() {
        // SAFETY: the array holds both halves.
        unsafe { _mm512_storeu_si512(bits.as_mut_ptr().add(half * 16).cast(), most) };
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
