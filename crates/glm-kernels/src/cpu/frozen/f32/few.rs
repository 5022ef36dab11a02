#![allow(unsafe_code)]
//! Products of few rows of activations with AVX2 and FMA, as in decoding: every row of the matrix is read from memory once,
//! from front to back, and multiplied with all of them. Neither weights nor activations are rounded.

use crate::cpu::frozen::{Destination, Matrix, Values};
use crate::cpu::isa::{Isa, isa};
use crate::cpu::unpack;
use rayon::prelude::*;
use std::arch::x86_64::{
    __m128i, __m256, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadl_epi64, _mm_loadu_si128, _mm_movehdup_ps,
    _mm_movehl_ps, _mm256_add_ps, _mm256_castps256_ps128, _mm256_castsi256_ps, _mm256_cvtepi8_epi32,
    _mm256_cvtepi32_ps, _mm256_cvtepu16_epi32, _mm256_cvtph_ps, _mm256_extractf128_ps, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_slli_epi32, _mm256_srai_epi32,
};
use std::ops::Range;

/// Values of a vector.
const LANES: usize = 8;
/// Vectors of a step.
const VECTORS: usize = 4;
/// Columns of a step.
const COLS: usize = VECTORS * LANES;
/// Activations of a step.
type Step = [[f32; LANES]; VECTORS];

/// Most rows of activations for which this is faster than blocks.
const MOST: usize = 8;
/// Most rows of activations that are multiplied at a time, of which the sums stay in registers.
const AT_ONCE: usize = 4;
/// A multiple of all numbers of rows of the matrix that are taken at a time.
const ROWS: usize = 12;
/// Bytes of the matrix that a task reads, about.
const TASK: usize = 128 << 10;

/// A form of weights.
///
/// Methods are inlined into functions that are compiled for AVX2, FMA and F16C, and must be called only there.
trait Form: Send + Sync {
    /// Bytes of a step.
    const BYTES: usize;

    /// The column of a step that stands at a place of a vector.
    fn column(vector: usize, place: usize) -> usize {
        vector * LANES + place
    }

    /// The weights of a vector of a step, without factors.
    ///
    /// # Safety
    /// The machine has the instruction sets; a step can be read.
    unsafe fn weights(step: *const u8, vector: usize) -> __m256;
}

struct F32;
struct F16;
struct Bf16;
struct Int8;
struct Int4;

impl Form for F32 {
    const BYTES: usize = 4 * COLS;

    // SAFETY: the caller vouches for the sets and the step, as the trait says; so in all impls.
    #[inline(always)]
    unsafe fn weights(step: *const u8, vector: usize) -> __m256 {
        // SAFETY: passed on from the caller.
        unsafe { _mm256_loadu_ps(step.cast::<f32>().add(vector * LANES)) }
    }
}

impl Form for F16 {
    const BYTES: usize = 2 * COLS;

    // SAFETY: as above.
    #[inline(always)]
    unsafe fn weights(step: *const u8, vector: usize) -> __m256 {
        // SAFETY: passed on from the caller.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(step.add(vector * 2 * LANES).cast::<__m128i>())) }
    }
}

impl Form for Bf16 {
    const BYTES: usize = 2 * COLS;

    // SAFETY: as above.
    #[inline(always)]
    unsafe fn weights(step: *const u8, vector: usize) -> __m256 {
        // SAFETY: passed on from the caller.
        unsafe {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(step.add(vector * 2 * LANES).cast::<__m128i>()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
        }
    }
}

impl Form for Int8 {
    const BYTES: usize = COLS;

    // SAFETY: as above.
    #[inline(always)]
    unsafe fn weights(step: *const u8, vector: usize) -> __m256 {
        // SAFETY: passed on from the caller.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(step.add(vector * LANES).cast::<__m128i>()))) }
    }
}

impl Form for Int4 {
    const BYTES: usize = COLS / 2;

    // Of eight bytes the high halves, which are even columns, then the low halves: so nothing needs to be put in order.
    #[inline(always)]
    fn column(vector: usize, place: usize) -> usize {
        vector / 2 * 2 * LANES + 2 * place + vector % 2
    }

    // SAFETY: as above.
    #[inline(always)]
    unsafe fn weights(step: *const u8, vector: usize) -> __m256 {
        // SAFETY: passed on from the caller.
        unsafe {
            let wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64(step.add(vector / 2 * LANES).cast::<__m128i>()));
            let half = match vector % 2 {
                0 => wide,
                _ => _mm256_slli_epi32::<28>(wide),
            };
            _mm256_cvtepi32_ps(match vector % 2 {
                0 => _mm256_srai_epi32::<4>(half),
                _ => _mm256_srai_epi32::<28>(half),
            })
        }
    }
}

/// Whether [`product`] can and should be used.
pub(in crate::cpu::frozen) fn suits(matrix: &Matrix<'_>, tokens: usize) -> bool {
    let machine = isa() > Isa::Scalar && is_x86_feature_detected!("f16c");
    let form = match matrix.values {
        Values::F32(_) | Values::F16(_) | Values::Bf16(_) | Values::Int8(_) => true,
        Values::Int4(_) => matrix.cols.is_multiple_of(2),
        Values::Int4Group { group, .. } => group.is_multiple_of(COLS) && matrix.cols.is_multiple_of(group),
    };
    machine && form && (1..=MOST).contains(&tokens)
}

/// `y = x Wᵀ` without row scales; the lengths are right and [`suits`] is true.
pub(super) fn product(matrix: &Matrix<'_>, x: &[f32], y: &mut [f32]) {
    let tokens = x.len() / matrix.cols;
    assert!(suits(matrix, tokens), "product of few rows: not for this machine or matrix");
    assert_eq!(y.len(), tokens * matrix.rows, "product of few rows: result is not [T, rows]");
    match matrix.values {
        Values::F32(v) => of_form::<F32>(matrix, v.as_flattened(), None, x, y),
        Values::F16(v) => of_form::<F16>(matrix, v.as_flattened(), None, x, y),
        Values::Bf16(v) => of_form::<Bf16>(matrix, v.as_flattened(), None, x, y),
        Values::Int8(v) => of_form::<Int8>(matrix, v, None, x, y),
        Values::Int4(v) => of_form::<Int4>(matrix, v, None, x, y),
        Values::Int4Group { packed, scales, group } => of_form::<Int4>(matrix, packed, Some((scales, group)), x, y),
    }
}

/// Tasks take neighbouring rows of the matrix. `groups`: factors and how many columns share one.
fn of_form<F: Form>(matrix: &Matrix<'_>, bytes: &[u8], groups: Option<(&[[u8; 2]], usize)>, x: &[f32], y: &mut [f32]) {
    let Matrix { rows, cols, .. } = *matrix;
    let tokens = x.len() / cols;
    let row_bytes = cols * F::BYTES / COLS;
    let bytes = &bytes[..rows * row_bytes];
    let at_once = tokens.div_ceil(tokens.div_ceil(AT_ONCE));
    let passes: Vec<(usize, Vec<Step>)> =
        x.chunks(at_once * cols).map(|x| (x.len() / cols, arranged::<F>(x, cols))).collect();
    let of_task = (TASK / row_bytes.max(1)).max(1).next_multiple_of(ROWS);
    let target = Destination(y.as_mut_ptr());
    (0..rows.div_ceil(of_task)).into_par_iter().with_max_len(1).for_each_init(Vec::new, |factors, task| {
        let rows = task * of_task..((task + 1) * of_task).min(rows);
        if let Some((scales, group)) = groups {
            let scales = &scales[rows.start * cols / group..rows.end * cols / group];
            factors.resize(scales.len(), 0.0);
            unpack::f16(scales, factors);
        }
        let mut token = 0;
        for (tokens, x) in &passes {
            // SAFETY: this task alone writes these columns of `y`, which is [T, rows] and outlives the loop.
            let write = |t: usize, row: usize, sum: f32| unsafe {
                target.at((token + t) * matrix.rows + rows.start + row).write(sum);
            };
            let task = Task {
                bytes: &bytes[rows.start * row_bytes..rows.end * row_bytes],
                row_bytes,
                factors: groups.map(|(_, group)| (factors.as_slice(), cols / group, group / COLS)),
                x,
            };
            // SAFETY: the machine has the sets (asserted by the caller); the rows are those of the task.
            unsafe {
                match tokens {
                    1 => task.rows::<F, 1, 4>(0..rows.len(), write),
                    2 => task.rows::<F, 2, 4>(0..rows.len(), write),
                    3 => task.rows::<F, 3, 3>(0..rows.len(), write),
                    _ => task.rows::<F, 4, 3>(0..rows.len(), write),
                }
            }
            token += tokens;
        }
    });
}

/// Activations `[T, cols]` as steps `[steps][T]`, values behind the end of a row being 0.
fn arranged<F: Form>(x: &[f32], cols: usize) -> Vec<Step> {
    let tokens = x.len() / cols;
    let mut steps = vec![[[0.0; LANES]; VECTORS]; cols.div_ceil(COLS) * tokens];
    for (t, row) in x.chunks_exact(cols).enumerate() {
        for (values, step) in row.chunks(COLS).zip(steps.chunks_exact_mut(tokens)) {
            for (vector, out) in step[t].iter_mut().enumerate() {
                for (place, out) in out.iter_mut().enumerate() {
                    *out = values.get(F::column(vector, place)).copied().unwrap_or(0.0);
                }
            }
        }
    }
    steps
}

/// Rows of the matrix and activations.
struct Task<'a> {
    bytes: &'a [u8],
    row_bytes: usize,
    /// Factors of groups, how many a row has, and steps of a group.
    factors: Option<(&'a [f32], usize, usize)>,
    x: &'a [Step],
}

impl Task<'_> {
    /// `T` rows of activations with some rows of the matrix, `R` at a time.
    ///
    /// # Safety
    /// The machine has AVX2, FMA and F16C; the rows are there.
    unsafe fn rows<F: Form, const T: usize, const R: usize>(
        &self,
        rows: Range<usize>,
        write: impl Fn(usize, usize, f32),
    ) {
        let mut row = rows.start;
        while row + R <= rows.end {
            // SAFETY: passed on from the caller.
            let sums = unsafe { self.sums::<F, T, R>(row) };
            for (t, sums) in sums.iter().enumerate() {
                sums.iter().enumerate().for_each(|(r, sum)| write(t, row + r, *sum));
            }
            row += R;
        }
        for row in row..rows.end {
            // SAFETY: passed on from the caller.
            let sums = unsafe { self.sums::<F, T, 1>(row) };
            sums.iter().enumerate().for_each(|(t, [sum])| write(t, row, *sum));
        }
    }

    /// Sums of the `R` rows that begin with `first`.
    ///
    /// # Safety
    /// As [`Task::rows`].
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn sums<F: Form, const T: usize, const R: usize>(&self, first: usize) -> [[f32; R]; T] {
        let (whole, rest) = (self.row_bytes / F::BYTES, self.row_bytes % F::BYTES);
        debug_assert!(
            (first + R) * self.row_bytes <= self.bytes.len() && self.x.len() >= self.row_bytes.div_ceil(F::BYTES) * T
        );
        let factors = |step: usize| {
            self.factors.map(|(factors, of_row, steps)| {
                std::array::from_fn(|r| _mm256_set1_ps(factors[(first + r) * of_row + step / steps]))
            })
        };
        let mut sums = [[_mm256_setzero_ps(); R]; T];
        let start = self.bytes.as_ptr().wrapping_add(first * self.row_bytes);
        let mut x = self.x.as_ptr();
        for step in 0..whole {
            let bytes = std::array::from_fn(|r| start.wrapping_add(r * self.row_bytes + step * F::BYTES));
            // SAFETY: the step lies in all rows, and `T` steps of activations are there.
            unsafe {
                add::<F, T, R>(&mut sums, bytes, factors(step), x);
                x = x.add(T);
            }
        }
        if rest > 0 {
            let mut copies = [[0u8; 4 * COLS]; R];
            for (r, copy) in copies.iter_mut().enumerate() {
                let end = (first + r + 1) * self.row_bytes;
                copy[..rest].copy_from_slice(&self.bytes[end - rest..end]);
            }
            let bytes = std::array::from_fn(|r| copies[r].as_ptr());
            // SAFETY: a copy is as long as the longest step; the last steps of activations are there.
            unsafe { add::<F, T, R>(&mut sums, bytes, factors(whole), x) };
        }
        let mut totals = [[0.0; R]; T];
        for (totals, sums) in totals.iter_mut().zip(&sums) {
            for (out, sum) in totals.iter_mut().zip(sums) {
                *out = total(*sum);
            }
        }
        totals
    }
}

/// Adds the products of a step of `R` rows and `T` rows of activations.
///
/// # Safety
/// The machine has AVX2, FMA and F16C; the steps can be read.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn add<F: Form, const T: usize, const R: usize>(
    sums: &mut [[__m256; R]; T],
    bytes: [*const u8; R],
    factors: Option<[__m256; R]>,
    x: *const Step,
) {
    // SAFETY: passed on from the caller.
    let x = |t: usize, vector: usize| unsafe { _mm256_loadu_ps((*x.add(t))[vector].as_ptr()) };
    // SAFETY: as above.
    let weights = |r: usize, vector: usize| unsafe { F::weights(bytes[r], vector) };
    match factors {
        None => {
            for vector in 0..VECTORS {
                let weights: [__m256; R] = std::array::from_fn(|r| weights(r, vector));
                for (t, sums) in sums.iter_mut().enumerate() {
                    let x = x(t, vector);
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        *sum = _mm256_fmadd_ps(x, weights, *sum);
                    }
                }
            }
        }
        Some(factors) => {
            for (r, factor) in factors.into_iter().enumerate() {
                let weights: [__m256; VECTORS] = std::array::from_fn(|vector| weights(r, vector));
                for (t, sums) in sums.iter_mut().enumerate() {
                    let first = _mm256_fmadd_ps(x(t, 2), weights[2], _mm256_mul_ps(x(t, 0), weights[0]));
                    let second = _mm256_fmadd_ps(x(t, 3), weights[3], _mm256_mul_ps(x(t, 1), weights[1]));
                    sums[r] = _mm256_fmadd_ps(_mm256_add_ps(first, second), factor, sums[r]);
                }
            }
        }
    }
}

/// The sum of all lanes, in one order.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn total(lanes: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}
