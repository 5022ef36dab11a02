//! The right matrix of a product: a few columns of it as fours along the direction of the sum, made unsigned by an offset.

use super::super::{BLOCK, scalar};
use super::floats::{self, Bf16, F16, F32, Int4Group};
use super::left::ALIGN;
use super::tile::LANES;
use super::transposed;
use crate::cpu::frozen::{Along, Matrix, Packed, Values};
use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_loadu_si128, _mm256_loadu_si256, _mm512_castsi128_si512, _mm512_castsi256_si512,
    _mm512_inserti32x4, _mm512_inserti64x4, _mm512_loadu_si512, _mm512_multishift_epi64_epi8, _mm512_permutex2var_epi8,
    _mm512_permutexvar_epi8, _mm512_set1_epi8, _mm512_storeu_si512, _mm512_ternarylogic_epi64, _mm512_xor_si512,
};
use std::ops::Range;

/// What is added to the integers of a matrix to make them unsigned.
pub(super) fn offset(matrix: &Matrix<'_>) -> i32 {
    if matches!(matrix.values, Values::Int4(_)) { 8 } else { 128 }
}

/// Fills `out [fours][LANES]` with the fours of `lanes` along the block `sum`, plus [`offset`], and returns the factors of the
/// lanes. What the matrix lacks is anything.
///
/// # Safety
/// The machine has AVX-512 F, BW, VL and VBMI.
pub(super) unsafe fn fill(
    matrix: &Matrix<'_>,
    along: Along,
    lanes: Range<usize>,
    sum: Range<usize>,
    out: &mut [u32],
) -> [f32; LANES] {
    let (rows, cols) = match along {
        Along::Columns => (&lanes, &sum),
        Along::Rows => (&sum, &lanes),
    };
    assert!(rows.end <= matrix.rows && cols.end <= matrix.cols, "panel: outside");
    let padded = sum.len().next_multiple_of(ALIGN);
    assert!(padded <= BLOCK && out.len() >= padded / 4 * LANES, "panel: too short");
    // 16 columns are taken with one factor, and INT4 needs whole bytes everywhere.
    let step = match matrix.values {
        Values::Int4Group { group, .. } => group.is_multiple_of(16) && matrix.cols.is_multiple_of(group),
        _ => matrix.cols.is_multiple_of(2),
    };
    let whole = match along {
        Along::Columns => sum.len().is_multiple_of(128),
        Along::Rows => sum.len().is_multiple_of(ALIGN),
    };
    if !(step && whole && lanes.len() == LANES) {
        return plain(matrix, along, lanes, sum, out);
    }
    let width = matrix.cols;
    let check = |held: usize| assert!(held >= matrix.rows * width, "panel: the matrix is too short");
    let exact = || lanes.clone().map(|lane| along.scale_of_lane(matrix, lane)).collect_lanes();
    // Columns that are loaded together lie in one line of interleaved rows.
    let together = if along == Along::Columns { 128 } else { LANES };
    assert!(cols.start.is_multiple_of(together), "panel: columns begin inside a line");
    // SAFETY: the block lies inside the matrix and the panel inside `out` (asserted); sets are the caller's.
    unsafe {
        let scales = match matrix.values {
            Values::Int8(v) => {
                check(v.len());
                match along {
                    Along::Columns => int8_across(v.as_ptr(), width, lanes.start, sum, out),
                    Along::Rows => int8_down(v.as_ptr(), width, lanes.start, sum, out),
                }
                return exact();
            }
            Values::Int4(v) => {
                assert!(v.row_bytes() == width / 2 && v.holds(matrix.rows), "panel: the matrix is too short");
                match along {
                    Along::Columns => int4_across(v, lanes.start, sum, out),
                    Along::Rows => int4_down(v, lanes.start, sum, out),
                }
                return exact();
            }
            Values::F32(v) => {
                check(v.len());
                floats::fill(F32(v, width), along, lanes.start, sum, out)
            }
            Values::F16(v) => {
                check(v.len());
                floats::fill(F16(v, width), along, lanes.start, sum, out)
            }
            Values::Bf16(v) => {
                check(v.len());
                floats::fill(Bf16(v, width), along, lanes.start, sum, out)
            }
            Values::Int4Group { packed, scales, group } => {
                check(packed.len() * 2);
                check(scales.len() * group);
                floats::fill(Int4Group { packed, scales, group, width }, along, lanes.start, sum, out)
            }
        };
        std::array::from_fn(|i| scales[i] * along.scale_of_lane(matrix, lanes.start + i))
    }
}

trait CollectLanes {
    /// At most [`LANES`] values; the rest is 0.
    fn collect_lanes(self) -> [f32; LANES];
}

impl<I: Iterator<Item = f32>> CollectLanes for I {
    fn collect_lanes(self) -> [f32; LANES] {
        let mut lanes = [0.0; LANES];
        lanes.iter_mut().zip(self).for_each(|(lane, v)| *lane = v);
        lanes
    }
}

/// As [`fill`], of any size, value by value.
fn plain(matrix: &Matrix<'_>, along: Along, lanes: Range<usize>, sum: Range<usize>, out: &mut [u32]) -> [f32; LANES] {
    let (offset, floats) = (offset(matrix), scalar::block(matrix, along, lanes.clone(), sum.clone()));
    let fill_lane = |(i, floats): (usize, &[f32])| {
        let (integers, scale) = scalar::integers(matrix, along, lanes.start + i, floats);
        for (at, fours) in integers.chunks(4).enumerate() {
            let mut bytes = [0u8; 4];
            bytes.iter_mut().zip(fours).for_each(|(byte, v)| *byte = (i32::from(*v) + offset) as u8);
            out[at * LANES + i] = u32::from_le_bytes(bytes);
        }
        scale
    };
    floats.chunks_exact(sum.len()).enumerate().map(fill_lane).collect_lanes()
}

#[inline]
#[target_feature(enable = "avx512f")]
fn order(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: the array is 64 bytes long.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Lanes are rows: 16 rows of 64 bytes are transposed, a four being one element.
///
/// # Safety
/// The machine has the sets; the block is whole, lies inside the matrix (INT8: of `stride` bytes a row), and fits into `out`. So for all
/// below.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn int8_across(matrix: *const u8, stride: usize, lane: usize, sum: Range<usize>, out: &mut [u32]) {
    let offset = _mm512_set1_epi8(i8::MIN);
    for (block, col) in sum.step_by(64).enumerate() {
        for half in 0..2 {
            // SAFETY: the caller vouches for rows, columns and the panel.
            unsafe {
                let row = |r: usize| matrix.add((lane + half * 16 + r) * stride + col);
                let rows: [__m512i; 16] = std::array::from_fn(|r| _mm512_loadu_si512(row(r).cast()));
                let to = out.as_mut_ptr().add(block * 16 * LANES + half * 16);
                for (four, values) in transposed(rows).into_iter().enumerate() {
                    _mm512_storeu_si512(to.add(four * LANES).cast(), _mm512_xor_si512(values, offset));
                }
            }
        }
    }
}

/// Lanes are columns: the bytes of four rows are interleaved.
///
/// # Safety
/// As [`int8_across`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn int8_down(matrix: *const u8, stride: usize, lane: usize, sum: Range<usize>, out: &mut [u32]) {
    /// Of two vectors of two rows of 32 bytes: columns 0 … 15, and 16 … 31.
    const ORDERS: [[u8; 64]; 2] = {
        let mut orders = [[0u8; 64]; 2];
        let mut i = 0;
        while i < 64 {
            orders[0][i] = (i % 4 * 32 + i / 4) as u8;
            orders[1][i] = orders[0][i] + 16;
            i += 1;
        }
        orders
    };
    let (orders, offset) = ([order(&ORDERS[0]), order(&ORDERS[1])], _mm512_set1_epi8(i8::MIN));
    for (four, row) in sum.step_by(4).enumerate() {
        // SAFETY: the caller vouches for rows, columns and the panel.
        unsafe {
            let load = |r: usize| _mm256_loadu_si256(matrix.add((row + r) * stride + lane).cast::<__m256i>());
            let two = |r: usize| _mm512_inserti64x4::<1>(_mm512_castsi256_si512(load(r)), load(r + 1));
            let (first, last) = (two(0), two(2));
            for (half, order) in orders.into_iter().enumerate() {
                let values = _mm512_xor_si512(_mm512_permutex2var_epi8(first, order, last), offset);
                _mm512_storeu_si512(out.as_mut_ptr().add(four * LANES + half * 16).cast(), values);
            }
        }
    }
}

/// Half bytes, as they are taken from bytes by `shifts`, plus 8.
#[inline]
#[target_feature(enable = "avx512f,avx512vbmi")]
fn halves(shifts: __m512i, bytes: __m512i) -> __m512i {
    /// `a & b ^ c`, by the bits of the three.
    const AND_XOR: i32 = 0b0110_1010;
    let shifted = _mm512_multishift_epi64_epi8(shifts, bytes);
    _mm512_ternarylogic_epi64::<AND_XOR>(shifted, _mm512_set1_epi8(15), _mm512_set1_epi8(8))
}

/// Places of bits in 8 bytes.
const fn shifts(of: [u8; 8]) -> [u8; 64] {
    let mut all = [0u8; 64];
    let mut i = 0;
    while i < 64 {
        all[i] = of[i % 8];
        i += 1;
    }
    all
}

/// Lanes are rows: 16 rows of 64 bytes are transposed, two fours being one element.
///
/// # Safety
/// As [`int8_across`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn int4_across(matrix: Packed<'_>, lane: usize, sum: Range<usize>, out: &mut [u32]) {
    /// Of 4 bytes each: the first two, and the last two; the high half of a byte comes first.
    const SHIFTS: [[u8; 64]; 2] = [shifts([4, 0, 12, 8, 36, 32, 44, 40]), shifts([20, 16, 28, 24, 52, 48, 60, 56])];
    let shifts = [order(&SHIFTS[0]), order(&SHIFTS[1])];
    for (block, col) in sum.step_by(128).enumerate() {
        for half in 0..2 {
            // SAFETY: the caller vouches for rows, columns and the panel.
            unsafe {
                let at = |r: usize| matrix.place(lane + half * 16 + r, col / 2);
                let row = |r: usize| matrix.bytes().as_ptr().add(at(r));
                let rows: [__m512i; 16] = std::array::from_fn(|r| _mm512_loadu_si512(row(r).cast()));
                let to = out.as_mut_ptr().add(block * 32 * LANES + half * 16);
                for (eight, bytes) in transposed(rows).into_iter().enumerate() {
                    let to = to.add(eight * 2 * LANES);
                    _mm512_storeu_si512(to.cast(), halves(shifts[0], bytes));
                    _mm512_storeu_si512(to.add(LANES).cast(), halves(shifts[1], bytes));
                }
            }
        }
    }
}

/// Lanes are columns: the half bytes of four rows are interleaved.
///
/// # Safety
/// As [`int8_across`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn int4_down(matrix: Packed<'_>, lane: usize, sum: Range<usize>, out: &mut [u32]) {
    /// Of four rows of 16 bytes: byte `b` of each, for two columns at a time; bytes 0 … 7, and 8 … 15.
    const ORDERS: [[u8; 64]; 2] = {
        let mut orders = [[0u8; 64]; 2];
        let mut i = 0;
        while i < 64 {
            orders[0][i] = (i % 4 * 16 + i / 8) as u8;
            orders[1][i] = orders[0][i] + 8;
            i += 1;
        }
        orders
    };
    /// The high half of each of the four bytes, then the low half.
    const SHIFTS: [u8; 64] = shifts([4, 12, 20, 28, 32, 40, 48, 56]);
    let (orders, shifts) = ([order(&ORDERS[0]), order(&ORDERS[1])], order(&SHIFTS));
    for (four, row) in sum.step_by(4).enumerate() {
        // SAFETY: the caller vouches for rows, columns and the panel.
        unsafe {
            let at = |r: usize| matrix.bytes().as_ptr().add(matrix.place(row + r, lane / 2));
            let load = |r: usize| _mm_loadu_si128(at(r).cast::<__m128i>());
            let x = _mm512_castsi128_si512(load(0));
            let x = _mm512_inserti32x4::<1>(x, load(1));
            let x = _mm512_inserti32x4::<2>(x, load(2));
            let x = _mm512_inserti32x4::<3>(x, load(3));
            for (half, order) in orders.into_iter().enumerate() {
                let values = halves(shifts, _mm512_permutexvar_epi8(order, x));
                _mm512_storeu_si512(out.as_mut_ptr().add(four * LANES + half * 16).cast(), values);
            }
        }
    }
}
