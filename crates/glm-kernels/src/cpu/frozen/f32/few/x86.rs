//! Vectors of AVX2 with FMA and F16C.

use super::AT_ONCE;
use super::form::Vector;
use crate::cpu::isa::{Isa, isa};
use std::arch::x86_64::{
    __m128i, __m256, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadl_epi64, _mm_loadu_si128, _mm_movehdup_ps,
    _mm_movehl_ps, _mm256_add_ps, _mm256_castps256_ps128, _mm256_castsi256_ps, _mm256_cvtepi8_epi32,
    _mm256_cvtepi32_ps, _mm256_cvtepu16_epi32, _mm256_cvtph_ps, _mm256_extractf128_ps, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_slli_epi32, _mm256_srai_epi32,
};

/// Whether the kernels of this machine use what is here.
pub(super) fn available() -> bool {
    matches!(isa(), Isa::Avx2 | Isa::Avx512) && is_x86_feature_detected!("f16c")
}

/// Rows of the matrix at a time beside one, two, three and four of activations. Sums fill at most 12 of 16 registers.
pub(super) const ROWS_AT_ONCE: [usize; AT_ONCE] = [4, 4, 3, 3];

/// Eight lanes.
pub(super) type Lanes = __m256;

// SAFETY: callers vouch for the sets and for what is read, as the trait says; so in all methods.
impl Vector for Lanes {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: passed on from the caller; so in all methods.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn multiplied(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_mul_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn multiplied_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_fmadd_ps(self, factor, addend) }
    }

    #[inline(always)]
    unsafe fn added(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn total(self) -> f32 {
        // SAFETY: as above.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(self), _mm256_extractf128_ps::<1>(self));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    // SAFETY: the caller vouches for the set and the values, as the trait says.
    #[inline(always)]
    unsafe fn of_f32(values: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_loadu_ps(values) }
    }

    #[inline(always)]
    unsafe fn of_f16(values: *const u8) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(values.cast::<__m128i>())) }
    }

    #[inline(always)]
    unsafe fn of_bf16(values: *const u8) -> Self {
        // SAFETY: as above.
        unsafe {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(values.cast::<__m128i>()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
        }
    }

    // SAFETY: the caller vouches for the set and the values, as the trait says.
    #[inline(always)]
    unsafe fn of_int8(values: *const u8) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(values.cast::<__m128i>()))) }
    }

    #[inline(always)]
    unsafe fn of_high_halves(bytes: *const u8) -> Self {
        // SAFETY: as above.
        unsafe {
            let wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64(bytes.cast::<__m128i>()));
            _mm256_cvtepi32_ps(_mm256_srai_epi32::<4>(wide))
        }
    }

    // SAFETY: the caller vouches for the set and the values, as the trait says.
    #[inline(always)]
    unsafe fn of_low_halves(bytes: *const u8) -> Self {
        // SAFETY: as above.
        unsafe {
            let wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64(bytes.cast::<__m128i>()));
            _mm256_cvtepi32_ps(_mm256_srai_epi32::<28>(_mm256_slli_epi32::<28>(wide)))
        }
    }
}
