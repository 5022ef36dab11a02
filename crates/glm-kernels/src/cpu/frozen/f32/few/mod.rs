#![allow(unsafe_code)]
//! Products of few rows of activations with vectors of f32 (AVX2 with FMA, or NEON), as in decoding: every row of the matrix is
//! read from memory once, from front to back, and multiplied with all of them. Neither weights nor activations are rounded.
//! The order of every sum is the same with either instruction set, and so are the bits.

mod form;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::cpu::frozen::{Destination, Matrix, Packed, Values};
use crate::cpu::unpack;
use form::{Bf16, F16, F32, Form, Int4, Int8, Vector};
#[cfg(target_arch = "aarch64")]
use neon::{Lanes, ROWS_AT_ONCE, available};
use rayon::prelude::*;
use std::ops::Range;
#[cfg(target_arch = "x86_64")]
use x86::{Lanes, ROWS_AT_ONCE, available};

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
/// A multiple of all numbers of rows of the matrix that are taken at a time ([`ROWS_AT_ONCE`]).
const ROWS: usize = 12;
/// Bytes of the matrix that a task reads, about.
const TASK: usize = 128 << 10;

/// Whether [`product`] can and should be used.
pub(in crate::cpu::frozen) fn suits(matrix: &Matrix<'_>, tokens: usize) -> bool {
    let form = match matrix.values {
        Values::F32(_) | Values::F16(_) | Values::Bf16(_) | Values::Int8(_) => true,
        Values::Int4(_) => matrix.cols.is_multiple_of(2),
        Values::Int4Group { group, .. } => group.is_multiple_of(COLS) && matrix.cols.is_multiple_of(group),
    };
    available() && form && (1..=MOST).contains(&tokens)
}

/// `y = x Wᵀ` without row scales; the lengths are right and [`suits`] is true.
pub(super) fn product(matrix: &Matrix<'_>, x: &[f32], y: &mut [f32]) {
    let tokens = x.len() / matrix.cols;
    assert!(suits(matrix, tokens), "product of few rows: not for this machine or matrix");
    assert_eq!(y.len(), tokens * matrix.rows, "product of few rows: result is not [T, rows]");
    with::<Lanes>(matrix, x, y);
}

/// [`product`] by these vectors.
fn with<V: Vector>(matrix: &Matrix<'_>, x: &[f32], y: &mut [f32]) {
    match matrix.values {
        Values::F32(_) => of_form::<F32, V>(matrix, None, x, y),
        Values::F16(_) => of_form::<F16, V>(matrix, None, x, y),
        Values::Bf16(_) => of_form::<Bf16, V>(matrix, None, x, y),
        Values::Int8(_) => of_form::<Int8, V>(matrix, None, x, y),
        Values::Int4(_) => of_form::<Int4, V>(matrix, None, x, y),
        Values::Int4Group { scales, group, .. } => of_form::<Int4, V>(matrix, Some((scales, group)), x, y),
    }
}

/// Tasks take neighbouring rows of the matrix. `groups`: factors and how many columns share one.
fn of_form<F: Form, V: Vector>(matrix: &Matrix<'_>, groups: Option<(&[[u8; 2]], usize)>, x: &[f32], y: &mut [f32]) {
    assert!(available(), "product of few rows: not for this machine");
    let Matrix { rows, cols, .. } = *matrix;
    let tokens = x.len() / cols;
    let (bytes, row_bytes) = (matrix.bytes(), cols * F::BYTES / COLS);
    assert!(bytes.row_bytes() == row_bytes && bytes.holds(rows), "product of few rows: the matrix is too short");
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
                bytes,
                first: rows.start,
                factors: groups.map(|(_, group)| (factors.as_slice(), cols / group, group / COLS)),
                x,
            };
            // SAFETY: the machine has the set (asserted above); the rows are those of the task.
            unsafe {
                match tokens {
                    1 => task.rows::<F, V, 1, { ROWS_AT_ONCE[0] }>(0..rows.len(), write),
                    2 => task.rows::<F, V, 2, { ROWS_AT_ONCE[1] }>(0..rows.len(), write),
                    3 => task.rows::<F, V, 3, { ROWS_AT_ONCE[2] }>(0..rows.len(), write),
                    _ => task.rows::<F, V, 4, { ROWS_AT_ONCE[3] }>(0..rows.len(), write),
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
    bytes: Packed<'a>,
    /// The first row of the task.
    first: usize,
    /// Factors of groups, how many a row has, and steps of a group.
    factors: Option<(&'a [f32], usize, usize)>,
    x: &'a [Step],
}

impl Task<'_> {
    /// `T` rows of activations with some rows of the matrix, `R` at a time.
    ///
    /// # Safety
    /// The machine has the instruction set ([`available`]); the rows are there.
    unsafe fn rows<F: Form, V: Vector, const T: usize, const R: usize>(
        &self,
        rows: Range<usize>,
        write: impl Fn(usize, usize, f32),
    ) {
        let mut row = rows.start;
        while row + R <= rows.end {
            // SAFETY: passed on from the caller.
            let sums = unsafe { self.sums::<F, V, T, R>(row) };
            for (t, sums) in sums.iter().enumerate() {
                sums.iter().enumerate().for_each(|(r, sum)| write(t, row + r, *sum));
            }
            row += R;
        }
        for row in row..rows.end {
            // SAFETY: passed on from the caller.
            let sums = unsafe { self.sums::<F, V, T, 1>(row) };
            sums.iter().enumerate().for_each(|(t, [sum])| write(t, row, *sum));
        }
    }

    /// Sums of the `R` rows that begin with `first`.
    ///
    /// # Safety
    /// As [`Task::rows`].
    #[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,f16c"))]
    #[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
    unsafe fn sums<F: Form, V: Vector, const T: usize, const R: usize>(&self, first: usize) -> [[f32; R]; T] {
        let row_bytes = self.bytes.row_bytes();
        let (whole, rest) = (row_bytes / F::BYTES, row_bytes % F::BYTES);
        debug_assert!(self.bytes.holds(self.first + first + R) && self.x.len() >= row_bytes.div_ceil(F::BYTES) * T);
        let factors = |step: usize| {
            self.factors.map(|(factors, of_row, steps)| {
                // SAFETY: the machine has the set, as the caller says.
                std::array::from_fn(|r| unsafe { V::splat(factors[(first + r) * of_row + step / steps]) })
            })
        };
        // SAFETY: as above.
        let mut sums = [[unsafe { V::splat(0.0) }; R]; T];
        let starts: [*const u8; R] = std::array::from_fn(|r| {
            self.bytes.bytes().as_ptr().wrapping_add(self.bytes.place(self.first + first + r, 0))
        });
        let mut x = self.x.as_ptr();
        for step in 0..whole {
            let at = self.bytes.place(0, step * F::BYTES);
            let bytes = starts.map(|start| start.wrapping_add(at));
            // SAFETY: the step lies in all rows, in one line where lines are apart, and `T` steps of activations are there.
            unsafe {
                add::<F, V, T, R>(&mut sums, bytes, factors(step), x);
                x = x.add(T);
            }
        }
        if rest > 0 {
            let mut copies = [[0u8; 4 * COLS]; R];
            for (r, copy) in copies.iter_mut().enumerate() {
                let at = self.bytes.place(self.first + first + r, row_bytes - rest);
                copy[..rest].copy_from_slice(&self.bytes.bytes()[at..][..rest]);
            }
            let bytes = std::array::from_fn(|r| copies[r].as_ptr());
            // SAFETY: a copy is as long as the longest step; the last steps of activations are there.
            unsafe { add::<F, V, T, R>(&mut sums, bytes, factors(whole), x) };
        }
        let mut totals = [[0.0; R]; T];
        for (totals, sums) in totals.iter_mut().zip(&sums) {
            for (out, sum) in totals.iter_mut().zip(sums) {
                // SAFETY: the machine has the set, as the caller says.
                *out = unsafe { sum.total() };
            }
        }
        totals
    }
}

/// Adds the products of a step of `R` rows and `T` rows of activations.
///
/// # Safety
/// The machine has the instruction set ([`available`]); the steps can be read.
// Left alone, the compiler calls it for every step with NEON, and the sums go through memory. Every target of AArch64 has NEON, so it
// can be told to inline it, which it refuses for functions with instruction sets of their own.
#[cfg_attr(target_arch = "x86_64", inline, target_feature(enable = "avx2,fma,f16c"))]
#[cfg_attr(target_arch = "aarch64", inline(always))]
unsafe fn add<F: Form, V: Vector, const T: usize, const R: usize>(
    sums: &mut [[V; R]; T],
    bytes: [*const u8; R],
    factors: Option<[V; R]>,
    x: *const Step,
) {
    // SAFETY: passed on from the caller.
    let x = |t: usize, vector: usize| unsafe { V::of_f32((*x.add(t))[vector].as_ptr()) };
    // SAFETY: as above.
    let weights = |r: usize, vector: usize| unsafe { F::weights::<V>(bytes[r], vector) };
    match factors {
        None => {
            for vector in 0..VECTORS {
                let weights: [V; R] = std::array::from_fn(|r| weights(r, vector));
                for (t, sums) in sums.iter_mut().enumerate() {
                    let x = x(t, vector);
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        // SAFETY: as above.
                        *sum = unsafe { x.multiplied_add(weights, *sum) };
                    }
                }
            }
        }
        Some(factors) => {
            for (r, factor) in factors.into_iter().enumerate() {
                let weights: [V; VECTORS] = std::array::from_fn(|vector| weights(r, vector));
                for (t, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: as above.
                    unsafe {
                        let first = x(t, 2).multiplied_add(weights[2], x(t, 0).multiplied(weights[0]));
                        let second = x(t, 3).multiplied_add(weights[3], x(t, 1).multiplied(weights[1]));
                        sums[r] = first.added(second).multiplied_add(factor, sums[r]);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
