#![allow(unsafe_code)]
//! The right matrix of a product: a few columns of it as pairs along the direction of the sum.

use super::rows::{Bf16, F16, F32, Int4, Int4Group, Int8, Rows, int4_table, join};
use super::tile::LANES;
use crate::cpu::frozen::{Along, Matrix, Packed, Values};
use std::arch::x86_64::{
    __m512, __m512i, _mm_loadu_si128, _mm256_loadu_si256, _mm512_add_epi8, _mm512_and_si512, _mm512_castsi128_si512,
    _mm512_castsi512_ps, _mm512_cvtph_ps, _mm512_inserti32x4, _mm512_loadu_si512, _mm512_mul_ps,
    _mm512_permutex2var_epi8, _mm512_permutex2var_epi16, _mm512_permutexvar_epi16, _mm512_set1_epi8, _mm512_set1_epi32,
    _mm512_shuffle_i32x4, _mm512_slli_epi32, _mm512_srlv_epi16, _mm512_storeu_si512, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};
use std::ops::Range;

/// Fills `out [pairs][LANES]` with the pairs of `lanes` along `sum`; lanes and halves that the matrix lacks are 0.
///
/// # Safety
/// The machine has AVX-512 F, BW, VL, VBMI and BF16.
pub(super) unsafe fn fill(matrix: &Matrix<'_>, along: Along, lanes: Range<usize>, sum: Range<usize>, out: &mut [u32]) {
    // 32 columns are taken with one factor.
    let group = !matches!(matrix.values, Values::Int4Group { group, .. } if !group.is_multiple_of(32));
    let whole = lanes.len() == LANES && sum.len().is_multiple_of(32) && matrix.cols.is_multiple_of(32) && group;
    if !whole {
        return plain(matrix, along, lanes, sum, out);
    }
    let (rows, cols) = match along {
        Along::Columns => (&lanes, &sum),
        Along::Rows => (&sum, &lanes),
    };
    assert!(rows.end <= matrix.rows && cols.end <= matrix.cols && cols.start.is_multiple_of(32), "panel: outside");
    assert!(out.len() >= sum.len() / 2 * LANES, "panel: too short");
    let width = matrix.cols;
    let needed = matrix.rows * width;
    let check = |held: usize| assert!(held >= needed, "panel: the matrix is too short");
    // SAFETY: the block lies inside the matrix and the panel inside `out` (asserted); sets are the caller's.
    unsafe {
        match matrix.values {
            Values::Bf16(v) => {
                check(v.len());
                both(Bf16(v, width), along, lanes, sum, out);
            }
            Values::F16(v) => {
                check(v.len());
                both(F16(v, width), along, lanes, sum, out);
            }
            Values::F32(v) => {
                check(v.len());
                both(F32(v, width), along, lanes, sum, out);
            }
            Values::Int8(v) => {
                check(v.len());
                both(Int8(v, width), along, lanes, sum, out);
            }
            Values::Int4(v) => {
                assert!(v.row_bytes() == width / 2 && v.holds(matrix.rows), "panel: the matrix is too short");
                match along {
                    Along::Columns => int4_across_rows(v, lanes, sum, |_, _| None, out),
                    Along::Rows => down(Int4(v), lanes, sum, out),
                }
            }
            Values::Int4Group { packed, scales, group } => {
                check(packed.len() * 2);
                check(scales.len() * group);
                match along {
                    Along::Columns => {
                        let factor = |row, col| scales[(row * width + col) / group];
                        let factors = |row, col| Some(std::array::from_fn(|r| factor(row + r, col)));
                        int4_across_rows(matrix.bytes(), lanes, sum, factors, out);
                    }
                    Along::Rows => down(Int4Group { packed, scales, group, width }, lanes, sum, out),
                }
            }
        }
    }
}

/// As [`fill`], of any size, value by value.
pub(super) fn plain(matrix: &Matrix<'_>, along: Along, lanes: Range<usize>, sum: Range<usize>, out: &mut [u32]) {
    out.fill(0);
    let (rows, cols) = match along {
        Along::Columns => (lanes.clone(), sum.clone()),
        Along::Rows => (sum.clone(), lanes.clone()),
    };
    // Groups begin at fixed columns, so whole rows are unpacked.
    let mut row = vec![0.0; matrix.cols];
    for r in rows.clone() {
        matrix.unpack(r..r + 1, 0..matrix.cols, &mut row);
        for c in cols.clone() {
            let (lane, at) = match along {
                Along::Columns => (r - lanes.start, c - sum.start),
                Along::Rows => (c - lanes.start, r - sum.start),
            };
            let bits = u32::from(super::left::round(row[c]));
            out[at / 2 * LANES + lane] |= bits << (16 * (at % 2));
        }
    }
}

/// Either direction.
///
/// # Safety
/// As [`fill`]; the block lies inside the matrix, is whole, and its pairs fit into `out`. So do the three below.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx512vbmi")]
unsafe fn both(rows: impl Rows, along: Along, lanes: Range<usize>, sum: Range<usize>, out: &mut [u32]) {
    // SAFETY: passed on from the caller.
    unsafe {
        match along {
            Along::Columns => across(rows, lanes, sum, out),
            Along::Rows => down(rows, lanes, sum, out),
        }
    }
}

/// Lanes are rows: 16 rows of 32 values each are transposed, a pair being one element.
///
/// # Safety
/// As [`both`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx512vbmi")]
unsafe fn across(rows: impl Rows, lanes: Range<usize>, sum: Range<usize>, out: &mut [u32]) {
    for half in 0..2 {
        for (block, col) in sum.clone().step_by(32).enumerate() {
            // SAFETY: the caller vouches for rows, columns and the panel.
            unsafe {
                let r: [__m512i; 16] = std::array::from_fn(|i| rows.values(lanes.start + half * 16 + i, col));
                let to = out.as_mut_ptr().add(block * 16 * LANES + half * 16);
                for (pair, values) in transposed(r).into_iter().enumerate() {
                    _mm512_storeu_si512(to.add(pair * LANES).cast(), values);
                }
            }
        }
    }
}

/// A 16 × 16 matrix of 32-bit elements, transposed.
#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu::frozen) fn transposed(r: [__m512i; 16]) -> [__m512i; 16] {
    let mut a = r;
    for i in 0..8 {
        a[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    let mut b = a;
    for i in 0..4 {
        b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    }
    // b[4 g + j] holds, in its quarter q, column 4 q + j of rows 4 g .. 4 g + 4.
    let mut c = b;
    for j in 0..4 {
        let low01 = _mm512_shuffle_i32x4::<0x44>(b[j], b[4 + j]);
        let high01 = _mm512_shuffle_i32x4::<0xee>(b[j], b[4 + j]);
        let low23 = _mm512_shuffle_i32x4::<0x44>(b[8 + j], b[12 + j]);
        let high23 = _mm512_shuffle_i32x4::<0xee>(b[8 + j], b[12 + j]);
        c[j] = _mm512_shuffle_i32x4::<0x88>(low01, low23);
        c[4 + j] = _mm512_shuffle_i32x4::<0xdd>(low01, low23);
        c[8 + j] = _mm512_shuffle_i32x4::<0x88>(high01, high23);
        c[12 + j] = _mm512_shuffle_i32x4::<0xdd>(high01, high23);
    }
    c
}

/// Lanes are columns: the values of two rows are interleaved.
///
/// # Safety
/// As [`both`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx512vbmi")]
unsafe fn down(rows: impl Rows, lanes: Range<usize>, sum: Range<usize>, out: &mut [u32]) {
    const ORDER: [[u16; 32]; 2] = {
        let mut order = [[0u16; 32]; 2];
        let mut i = 0;
        while i < 16 {
            order[0][2 * i] = i as u16;
            order[0][2 * i + 1] = 32 + i as u16;
            order[1][2 * i] = 16 + i as u16;
            order[1][2 * i + 1] = 48 + i as u16;
            i += 1;
        }
        order
    };
    // SAFETY: the arrays are 64 bytes long; the caller vouches for rows, columns and the panel.
    unsafe {
        let low = _mm512_loadu_si512(ORDER[0].as_ptr().cast());
        let high = _mm512_loadu_si512(ORDER[1].as_ptr().cast());
        for (pair, row) in sum.step_by(2).enumerate() {
            let (first, second) = (rows.values(row, lanes.start), rows.values(row + 1, lanes.start));
            let to = out.as_mut_ptr().add(pair * LANES);
            _mm512_storeu_si512(to.cast(), _mm512_permutex2var_epi16(first, low, second));
            _mm512_storeu_si512(to.add(16).cast(), _mm512_permutex2var_epi16(first, high, second));
        }
    }
}

/// As [`across`] for INT4: a byte is a pair, so bytes are transposed before they are widened. `factors` gives those of 32
/// columns of 16 rows, by the first row and column, as halves.
///
/// # Safety
/// As [`both`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx512vbmi")]
unsafe fn int4_across_rows(
    rows: Packed<'_>,
    lanes: Range<usize>,
    sum: Range<usize>,
    factors: impl Fn(usize, usize) -> Option<[[u8; 2]; 16]>,
    out: &mut [u32],
) {
    /// Of two vectors of four rows of 16 bytes: the first or the last 8 bytes of each of the 8 rows.
    const EIGHTHS: [[u8; 64]; 2] = {
        let mut order = [[0u8; 64]; 2];
        let mut i = 0;
        while i < 64 {
            order[0][i] = (i / 8 * 16 + i % 8) as u8;
            order[1][i] = order[0][i] + 8;
            i += 1;
        }
        order
    };
    /// Of two vectors of eight rows of 8 bytes: the first byte of each of the 16 rows, four times.
    const FIRSTS: [u8; 64] = {
        let mut order = [0u8; 64];
        let mut i = 0;
        while i < 64 {
            let row = i / 4;
            order[i] = (if row < 8 { row * 8 } else { 64 + (row - 8) * 8 }) as u8;
            i += 1;
        }
        order
    };
    // SAFETY: the arrays are 64 bytes long; the caller vouches for rows, columns and the panel.
    unsafe {
        let eighths = EIGHTHS.map(|order| _mm512_loadu_si512(order.as_ptr().cast()));
        let firsts = _mm512_loadu_si512(FIRSTS.as_ptr().cast());
        let (table, one, shifts) = (int4_table(), _mm512_set1_epi8(1), _mm512_set1_epi32(4));
        let interleaved = _mm512_loadu_si512(INTERLEAVED.as_ptr().cast());
        for half in 0..2 {
            for (block, col) in sum.clone().step_by(32).enumerate() {
                let at = |r: usize| rows.bytes().as_ptr().add(rows.place(lanes.start + half * 16 + r, col / 2));
                let row = |r: usize| _mm_loadu_si128(at(r).cast());
                let four = |r: usize| {
                    let x = _mm512_castsi128_si512(row(r));
                    let x = _mm512_inserti32x4::<1>(x, row(r + 1));
                    let x = _mm512_inserti32x4::<2>(x, row(r + 2));
                    _mm512_inserti32x4::<3>(x, row(r + 3))
                };
                let (a, b, c, d) = (four(0), four(4), four(8), four(12));
                let factors = factors(lanes.start + half * 16, col);
                let factors = factors.map(|halves| _mm512_cvtph_ps(_mm256_loadu_si256(halves.as_ptr().cast())));
                let mut to = out.as_mut_ptr().add(block * 16 * LANES + half * 16);
                for order in eighths {
                    let (x, y) = (_mm512_permutex2var_epi8(a, order, b), _mm512_permutex2var_epi8(c, order, d));
                    let mut byte = firsts;
                    for _ in 0..8 {
                        let pairs = _mm512_srlv_epi16(_mm512_permutex2var_epi8(x, byte, y), shifts);
                        let mut pairs = _mm512_permutexvar_epi16(pairs, table);
                        if let Some(factors) = factors {
                            pairs = times(pairs, factors, interleaved);
                        }
                        _mm512_storeu_si512(to.cast(), pairs);
                        byte = _mm512_add_epi8(byte, one);
                        to = to.add(LANES);
                    }
                }
            }
        }
    }
}

/// Place of every value when 16 values and 16 others become pairs.
const INTERLEAVED: [u16; 32] = {
    let mut order = [0u16; 32];
    let mut i = 0;
    while i < 16 {
        order[2 * i] = i as u16;
        order[2 * i + 1] = 16 + i as u16;
        i += 1;
    }
    order
};

/// Pairs of bfloat16, both times the factor of their lane, rounded.
///
/// # Safety
/// The machine has AVX-512 F, BW and BF16.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn times(pairs: __m512i, factors: __m512, interleaved: __m512i) -> __m512i {
    // bfloat16 is the upper half of a float.
    let first = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(pairs));
    let second = _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(0xffff_0000_u32 as i32)));
    // SAFETY: the sets are enabled here.
    let apart = unsafe { join(_mm512_mul_ps(first, factors), _mm512_mul_ps(second, factors)) };
    _mm512_permutexvar_epi16(interleaved, apart)
}
