#![allow(unsafe_code)]
//! 32 neighbouring values of one row of a frozen matrix as bfloat16, for every form that they are kept in. Row scales are
//! left out: the integers of INT4 and INT8 are exact in bfloat16.

use crate::cpu::frozen::Packed;
use std::arch::x86_64::{
    __m128i, __m256i, __m512, __m512i, _mm_loadu_si128, _mm256_loadu_si256, _mm512_castsi512_si256,
    _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi32, _mm512_cvtne2ps_pbh, _mm512_cvtph_ps,
    _mm512_extracti64x4_epi64, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps, _mm512_or_si512,
    _mm512_permutexvar_epi16, _mm512_set1_epi32, _mm512_set1_ps, _mm512_slli_epi32, _mm512_srlv_epi16,
};

/// Rows that give 32 values at a time.
///
/// Methods are inlined into functions that are compiled for AVX-512 F, BW, VL and BF16, and must be called only there.
pub(super) trait Rows: Copy + Send + Sync {
    /// Values `col..col + 32` of row `row`, in order; `col` is a multiple of 32.
    ///
    /// # Safety
    /// The machine has the instruction sets, and the values lie inside the matrix.
    unsafe fn values(self, row: usize, col: usize) -> __m512i;
}

/// bfloat16.
#[derive(Clone, Copy)]
pub(super) struct Bf16<'a>(pub &'a [[u8; 2]], pub usize);
/// Half precision.
#[derive(Clone, Copy)]
pub(super) struct F16<'a>(pub &'a [[u8; 2]], pub usize);
/// Single precision.
#[derive(Clone, Copy)]
pub(super) struct F32<'a>(pub &'a [[u8; 4]], pub usize);
/// INT8.
#[derive(Clone, Copy)]
pub(super) struct Int8<'a>(pub Packed<'a>);
/// INT4.
#[derive(Clone, Copy)]
pub(super) struct Int4<'a>(pub Packed<'a>);
/// INT4 with a factor for every `group` columns, which is a multiple of 32.
#[derive(Clone, Copy)]
pub(super) struct Int4Group<'a> {
    pub packed: Int4<'a>,
    pub scales: &'a [[u8; 2]],
    /// Factors of a row.
    pub of_row: usize,
    pub group: usize,
}

/// Two vectors of floats rounded and put one behind the other.
///
/// # Safety
/// The machine has AVX-512 BF16.
#[inline(always)]
pub(super) unsafe fn join(first: __m512, second: __m512) -> __m512i {
    // SAFETY: the caller's machine has the set; both types are 64 bytes of the same meaning.
    unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(second, first)) }
}

impl Rows for Bf16<'_> {
    // SAFETY: the caller vouches for the sets and the place, as the trait says.
    #[inline(always)]
    unsafe fn values(self, row: usize, col: usize) -> __m512i {
        debug_assert!(row * self.1 + col + 32 <= self.0.len());
        // SAFETY: passed on from the caller.
        unsafe { _mm512_loadu_si512(self.0.as_ptr().add(row * self.1 + col).cast()) }
    }
}

impl Rows for F16<'_> {
    // SAFETY: the caller vouches for the sets and the place, as the trait says.
    #[inline(always)]
    unsafe fn values(self, row: usize, col: usize) -> __m512i {
        debug_assert!(row * self.1 + col + 32 <= self.0.len());
        // SAFETY: passed on from the caller.
        unsafe {
            let at = self.0.as_ptr().add(row * self.1 + col);
            let half = |offset: usize| _mm512_cvtph_ps(_mm256_loadu_si256(at.add(offset).cast::<__m256i>()));
            join(half(0), half(16))
        }
    }
}

impl Rows for F32<'_> {
    // SAFETY: the caller vouches for the sets and the place, as the trait says.
    #[inline(always)]
    unsafe fn values(self, row: usize, col: usize) -> __m512i {
        debug_assert!(row * self.1 + col + 32 <= self.0.len());
        // SAFETY: passed on from the caller.
        unsafe {
            let at = self.0.as_ptr().add(row * self.1 + col).cast::<f32>();
            join(_mm512_loadu_ps(at), _mm512_loadu_ps(at.add(16)))
        }
    }
}

impl Rows for Int8<'_> {
    // SAFETY: the caller vouches for the sets and the place, as the trait says.
    #[inline(always)]
    unsafe fn values(self, row: usize, col: usize) -> __m512i {
        debug_assert!(self.0.place(row, col) + 32 <= self.0.bytes().len());
        // SAFETY: passed on from the caller; 32 columns lie in one line.
        unsafe {
            let at = self.0.bytes().as_ptr().add(self.0.place(row, col));
            let half = |offset: usize| {
                _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(at.add(offset).cast::<__m128i>())))
            };
            join(half(0), half(16))
        }
    }
}

/// The integers −8 … 7 as bfloat16, by their four bits. There twice, because a look-up reads five.
pub(super) const INT4: [u16; 32] = {
    let mut table = [0u16; 32];
    let mut i = 0;
    while i < 32 {
        let bits = (i % 16) as i32;
        let value = if bits < 8 { bits } else { bits - 16 };
        table[i] = ((value as f32).to_bits() >> 16) as u16;
        i += 1;
    }
    table
};

/// [`INT4`] in a register.
///
/// # Safety
/// The machine has AVX-512 F.
#[inline(always)]
pub(super) unsafe fn int4_table() -> __m512i {
    // SAFETY: the table is 64 bytes long.
    unsafe { _mm512_loadu_si512(INT4.as_ptr().cast()) }
}

impl Rows for Int4<'_> {
    // SAFETY: the caller vouches for the sets and the place, as the trait says.
    #[inline(always)]
    unsafe fn values(self, row: usize, col: usize) -> __m512i {
        debug_assert!(self.0.place(row, col / 2) + 16 <= self.0.bytes().len());
        // SAFETY: passed on from the caller; 32 columns lie in one line.
        unsafe {
            let bytes = _mm_loadu_si128(self.0.bytes().as_ptr().add(self.0.place(row, col / 2)).cast::<__m128i>());
            // Every byte twice: the first of the pair looks up its high half, the second its low half.
            let once = _mm512_cvtepu8_epi32(bytes);
            let twice = _mm512_or_si512(once, _mm512_slli_epi32::<16>(once));
            _mm512_permutexvar_epi16(_mm512_srlv_epi16(twice, _mm512_set1_epi32(4)), int4_table())
        }
    }
}

impl Rows for Int4Group<'_> {
    // SAFETY: as above.
    #[inline(always)]
    unsafe fn values(self, row: usize, col: usize) -> __m512i {
        // SAFETY: passed on from the caller; a group has a factor.
        unsafe {
            let integers = self.packed.values(row, col);
            let scale = self.scales[row * self.of_row + col / self.group];
            let scale = _mm512_set1_ps(half::f16::from_le_bytes(scale).to_f32());
            // bfloat16 is the upper half of a float.
            let widen = |half: __m256i| {
                let wide = std::arch::x86_64::_mm512_cvtepu16_epi32(half);
                std::arch::x86_64::_mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
            };
            let low = _mm512_mul_ps(widen(_mm512_castsi512_si256(integers)), scale);
            let high = _mm512_mul_ps(widen(_mm512_extracti64x4_epi64::<1>(integers)), scale);
            join(low, high)
        }
    }
}
