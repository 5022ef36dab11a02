#![allow(unsafe_code)]
//! How 64 bytes of a row are multiplied with activations, for every form of weights.

use super::super::rows::int4_table;
use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_castsi512_si256, _mm512_cvtph_ps,
    _mm512_dpbf16_ps, _mm512_extracti64x4_epi64, _mm512_fmadd_ps, _mm512_load_si512, _mm512_loadu_si512,
    _mm512_min_epu8, _mm512_permutex2var_epi8, _mm512_permutexvar_epi16, _mm512_set1_epi8, _mm512_srli_epi16,
    _mm512_ternarylogic_epi32, _mm512_unpackhi_epi8, _mm512_unpacklo_epi8, _mm512_xor_si512,
};

/// A form of weights. A step takes 64 bytes of a row.
///
/// Methods are inlined into functions that are compiled for AVX-512 F, BW, VL, VBMI and BF16, and must be called only there.
pub(super) trait Form: Copy + Send + Sync {
    /// Columns of a step.
    const COLS: usize;
    /// Vectors of activations that they are multiplied with.
    const VECTORS: usize;
    /// Whether these are bfloat16; otherwise f32, in order.
    const ROUNDED: bool = true;
    /// Most sums that stay in registers beside what else is needed there.
    const SUMS: usize = 24;
    /// By how much every weight is too high as [`Form::weights`] gives it.
    const OFFSET: f32 = 0.0;

    /// The column of a step that stands at place `i` of vector `v` of 32 values.
    fn column(v: usize, i: usize) -> usize {
        32 * v + i
    }

    /// The weights of vector `v` out of the bytes of a step.
    ///
    /// # Safety
    /// The machine has the instruction sets.
    unsafe fn weights(self, bytes: __m512i, v: usize) -> __m512i;

    /// Adds the products of a vector.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn add(self, sum: __m512, x: __m512i, weights: __m512i) -> __m512 {
        // SAFETY: the caller's machine has the sets.
        unsafe { _mm512_dpbf16_ps(sum, pairs_of(x), pairs_of(weights)) }
    }

    /// Adds the products of a step of `R` rows that begin with `row`, whose first column is `col`, and of `T` rows of
    /// activations `x [T][VECTORS]`.
    ///
    /// # Safety
    /// As above; so many aligned vectors can be read at `x`, and the step lies in the matrix at least in part.
    #[inline(always)]
    unsafe fn step<const T: usize, const R: usize>(
        self,
        bytes: [__m512i; R],
        (_row, _col): (usize, usize),
        x: *const __m512i,
        sums: &mut [[__m512; R]; T],
    ) {
        for v in 0..Self::VECTORS {
            let mut weights = bytes;
            for weights in &mut weights {
                // SAFETY: passed on from the caller.
                *weights = unsafe { self.weights(*weights, v) };
            }
            for (t, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the caller vouches for the vectors.
                let x = unsafe { _mm512_load_si512(x.add(t * Self::VECTORS + v).cast()) };
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    // SAFETY: passed on from the caller.
                    *sum = unsafe { self.add(*sum, x, weights) };
                }
            }
        }
    }
}

#[inline(always)]
pub(super) fn pairs_of(bits: __m512i) -> __m512bh {
    // SAFETY: both are 64 bytes without a meaning of their own.
    unsafe { std::mem::transmute(bits) }
}

/// Single precision.
#[derive(Clone, Copy)]
pub(super) struct F32;
/// Half precision.
#[derive(Clone, Copy)]
pub(super) struct F16;
/// bfloat16.
#[derive(Clone, Copy)]
pub(super) struct Bf16;
/// INT8.
#[derive(Clone, Copy)]
pub(super) struct Int8;
/// INT4.
#[derive(Clone, Copy)]
pub(super) struct Int4;

/// A product of floats.
///
/// # Safety
/// The machine has AVX-512 F.
#[inline(always)]
unsafe fn add_f32(sum: __m512, x: __m512i, weights: __m512i) -> __m512 {
    // SAFETY: the caller's machine has the set.
    unsafe { _mm512_fmadd_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(weights), sum) }
}

impl Form for F32 {
    const COLS: usize = 16;
    const VECTORS: usize = 1;
    const ROUNDED: bool = false;

    // SAFETY: nothing is asked of the caller.
    #[inline(always)]
    unsafe fn weights(self, bytes: __m512i, _: usize) -> __m512i {
        bytes
    }

    // SAFETY: the caller vouches for the sets, as the trait says; so in all impls.
    #[inline(always)]
    unsafe fn add(self, sum: __m512, x: __m512i, weights: __m512i) -> __m512 {
        // SAFETY: passed on from the caller.
        unsafe { add_f32(sum, x, weights) }
    }
}

impl Form for F16 {
    const COLS: usize = 32;
    const VECTORS: usize = 2;
    const ROUNDED: bool = false;

    // SAFETY: as above.
    #[inline(always)]
    unsafe fn weights(self, bytes: __m512i, v: usize) -> __m512i {
        // SAFETY: passed on from the caller.
        unsafe {
            _mm512_castps_si512(_mm512_cvtph_ps(match v {
                0 => _mm512_castsi512_si256(bytes),
                _ => _mm512_extracti64x4_epi64::<1>(bytes),
            }))
        }
    }

    // SAFETY: as above.
    #[inline(always)]
    unsafe fn add(self, sum: __m512, x: __m512i, weights: __m512i) -> __m512 {
        // SAFETY: passed on from the caller.
        unsafe { add_f32(sum, x, weights) }
    }
}

impl Form for Bf16 {
    const COLS: usize = 32;
    const VECTORS: usize = 1;

    // SAFETY: nothing is asked of the caller.
    #[inline(always)]
    unsafe fn weights(self, bytes: __m512i, _: usize) -> __m512i {
        bytes
    }
}

/// The upper and the lower bytes of 0.5, 1.5 … 127.5 as bfloat16, all of which are exact.
const HALVES: [[u8; 128]; 2] = {
    let mut table = [[0; 128]; 2];
    let mut i = 0;
    while i < 128 {
        let bits = (i as f32 + 0.5).to_bits();
        table[0][i] = (bits >> 24) as u8;
        table[1][i] = (bits >> 16) as u8;
        i += 1;
    }
    table
};

/// A weight `w` is taken as `w + 0.5`: `m + 0.5` or `−(m + 0.5)` with `m` the seven lower bits of `w` or `!w`, so that one
/// table serves both signs.
impl Form for Int8 {
    const COLS: usize = 64;
    const VECTORS: usize = 2;
    const SUMS: usize = 21;
    const OFFSET: f32 = 0.5;

    // Bytes are joined to words within each 16 of them, the lower eight in the first vector.
    #[inline(always)]
    fn column(v: usize, i: usize) -> usize {
        i / 8 * 16 + v * 8 + i % 8
    }

    // SAFETY: as above.
    #[inline(always)]
    unsafe fn weights(self, bytes: __m512i, v: usize) -> __m512i {
        // SAFETY: passed on from the caller; a table is twice 64 bytes long.
        unsafe {
            let inverted = _mm512_xor_si512(bytes, _mm512_set1_epi8(-1));
            let size = _mm512_min_epu8(bytes, inverted);
            let look_up = |table: &[u8; 128]| {
                let half = |offset: usize| _mm512_loadu_si512(table.as_ptr().add(offset).cast());
                _mm512_permutex2var_epi8(half(0), size, half(64))
            };
            let (upper, lower) = (look_up(&HALVES[0]), look_up(&HALVES[1]));
            // The sign: upper | bytes & 0x80.
            let upper = _mm512_ternarylogic_epi32::<0xf8>(upper, bytes, _mm512_set1_epi8(-128));
            match v {
                0 => _mm512_unpacklo_epi8(lower, upper),
                _ => _mm512_unpackhi_epi8(lower, upper),
            }
        }
    }
}

/// The four columns of a 16-bit word, from its lowest bits up: the even column is in the high half of a byte.
const OF_WORD: [usize; 4] = [1, 0, 3, 2];

impl Form for Int4 {
    const COLS: usize = 128;
    const VECTORS: usize = 4;

    #[inline(always)]
    fn column(v: usize, i: usize) -> usize {
        4 * i + OF_WORD[v % 4]
    }

    // SAFETY: as above.
    #[inline(always)]
    unsafe fn weights(self, bytes: __m512i, v: usize) -> __m512i {
        // SAFETY: passed on from the caller.
        unsafe {
            // The look-up reads the lowest bits of every word only.
            let places = match v {
                0 => bytes,
                1 => _mm512_srli_epi16::<4>(bytes),
                2 => _mm512_srli_epi16::<8>(bytes),
                _ => _mm512_srli_epi16::<12>(bytes),
            };
            _mm512_permutexvar_epi16(places, int4_table())
        }
    }
}
