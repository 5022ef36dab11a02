#![allow(unsafe_code)]
//! 32 neighbouring values of one row of a frozen matrix as bfloat16, for every form that they are kept in. Row scales are
//! left out: the integers of INT4 and INT8 are exact in bfloat16.

use crate::cpu::frozen::Packed;
use std::arch::x86_64::{
    __m128i, __m256bh, __m256i, __m512, __m512i, _mm_loadu_si128, _mm256_loadu_si256, _mm256_set1_epi16,
    _mm512_broadcast_i64x4, _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi32, _mm512_cvtne2ps_pbh,
    _mm512_cvtneps_pbh, _mm512_cvtph_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps, _mm512_or_si512,
    _mm512_permutexvar_epi16, _mm512_set1_epi32, _mm512_slli_epi32, _mm512_srlv_epi16,
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
pub(super) struct Int8<'a>(pub &'a [u8], pub usize);
/// INT4.
#[derive(Clone, Copy)]
pub(super) struct Int4<'a>(pub Packed<'a>);
/// INT4 with a factor for every `group` columns, which is a multiple of 32.
#[derive(Clone, Copy)]
pub(super) struct Int4Group<'a> {
    pub packed: &'a [u8],
    pub scales: &'a [[u8; 2]],
    pub group: usize,
    /// Values of a row.
    pub width: usize,
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
        debug_assert!(row * self.1 + col + 32 <= self.0.len());
        // SAFETY: passed on from the caller.
        unsafe {
            let at = self.0.as_ptr().add(row * self.1 + col);
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

/// 32 half bytes by a table: every one is looked up with the bit before it.
///
/// # Safety
/// The machine has the sets, and 16 bytes lie at `at`.
#[inline(always)]
unsafe fn looked_up(at: *const u8, table: __m512i) -> __m512i {
    // SAFETY: passed on from the caller.
    unsafe {
        // Every byte twice: the first of the pair looks up its high half, the second its low half.
        let once = _mm512_cvtepu8_epi32(_mm_loadu_si128(at.cast::<__m128i>()));
        let twice = _mm512_or_si512(once, _mm512_slli_epi32::<16>(once));
        _mm512_permutexvar_epi16(_mm512_srlv_epi16(twice, _mm512_set1_epi32(4)), table)
    }
}

impl Int4<'_> {
    /// Where 32 values begin, which lie in one line.
    ///
    /// # Safety
    /// They lie inside the matrix.
    #[inline(always)]
    unsafe fn at(self, row: usize, col: usize) -> *const u8 {
        let place = self.0.place(row, col / 2);
        debug_assert!(place + 16 <= self.0.bytes().len());
        // SAFETY: passed on from the caller.
        unsafe { self.0.bytes().as_ptr().add(place) }
    }
}

impl Rows for Int4<'_> {
    // SAFETY: the caller vouches for the sets and the place, as the trait says.
    #[inline(always)]
    unsafe fn values(self, row: usize, col: usize) -> __m512i {
        // SAFETY: passed on from the caller.
        unsafe { looked_up(self.at(row, col), int4_table()) }
    }
}

/// The integers −8 … 7 by their four bits.
const INTEGERS: [f32; 16] = [0., 1., 2., 3., 4., 5., 6., 7., -8., -7., -6., -5., -4., -3., -2., -1.];

impl Rows for Int4Group<'_> {
    // SAFETY: as above.
    #[inline(always)]
    unsafe fn values(self, row: usize, col: usize) -> __m512i {
        let at = row * self.width + col;
        debug_assert!((at + 32) / 2 <= self.packed.len() && at / self.group < self.scales.len());
        // SAFETY: passed on from the caller, who checked that every group has a factor (`panel::fill`). The two types of 32 bytes
        // mean the same.
        unsafe {
            // The 16 products that there can be, of which the values are looked up.
            let scale = i16::from_le_bytes(*self.scales.get_unchecked(at / self.group));
            let scale = _mm512_cvtph_ps(_mm256_set1_epi16(scale));
            let products = _mm512_cvtneps_pbh(_mm512_mul_ps(_mm512_loadu_ps(INTEGERS.as_ptr()), scale));
            let table = _mm512_broadcast_i64x4(std::mem::transmute::<__m256bh, __m256i>(products));
            looked_up(self.packed.as_ptr().add(at / 2), table)
        }
    }
}
