#![allow(unsafe_code)]
//! Products of few rows of activations, as in decoding: every row of the matrix is read from memory once, from front to back,
//! and multiplied with all of them. There is no copy of the weights, which would cost more than it saves.
//!
//! The activations are rounded to bfloat16 for INT4, INT8 and bfloat16 weights and stay in f32 for the others, which are not
//! rounded either; sums and the factors of groups are in f32. An element is summed in an order that depends on the number of
//! columns alone: it has the same bits whatever is computed beside it.

mod activations;
mod form;
mod group;
mod kernel;

use super::super::{Destination, Matrix, Values};
use activations::Activations;
use form::{Bf16, F16, F32, Form, Int4, Int8};
use group::Int4Group;
use kernel::Weights;
use rayon::prelude::*;

/// Most rows of activations for which this is faster than panels: one core makes 185 to 200 GFLOP/s of 231 with INT4 where
/// panels of 16 rows make 155 and those of 64 rows 170 to 190; with groups of 32 it makes 140 to 150, and panels of 48 rows
/// 150 to 160. Floats that are not bfloat16 are multiplied as f32, at half the speed.
pub(in crate::cpu::frozen) fn most_tokens(values: &Values<'_>) -> usize {
    match values {
        Values::Int4(_) => 64,
        Values::Int4Group { .. } => 40,
        Values::Int8(_) | Values::Bf16(_) => 32,
        Values::F16(_) | Values::F32(_) => 16,
    }
}

/// Most rows of activations that are multiplied at a time.
const AT_ONCE: usize = 8;

/// Bytes of the matrix that a task reads, about.
const TASK: usize = 128 << 10;

/// Whether [`matmul`] can and should be used.
pub(super) fn suits(matrix: &Matrix<'_>, tokens: usize) -> bool {
    let form = match matrix.values {
        Values::F32(_) | Values::F16(_) | Values::Bf16(_) | Values::Int8(_) => true,
        Values::Int4(_) => matrix.cols.is_multiple_of(2),
        Values::Int4Group { group, .. } => Int4Group::suits(group) && matrix.cols.is_multiple_of(group),
    };
    form && (1..=most_tokens(&matrix.values)).contains(&tokens)
}

/// `y[T, rows] = x[T, cols] · Wᵀ + bias`; the lengths are right and [`suits`] is true.
pub(super) fn matmul(matrix: &Matrix<'_>, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    match matrix.values {
        Values::F32(_) => product(F32, matrix, x, bias, y),
        Values::F16(_) => product(F16, matrix, x, bias, y),
        Values::Bf16(_) => product(Bf16, matrix, x, bias, y),
        Values::Int8(_) => product(Int8, matrix, x, bias, y),
        Values::Int4(_) => product(Int4, matrix, x, bias, y),
        Values::Int4Group { scales, group, .. } => product(Int4Group::new(scales, matrix, group), matrix, x, bias, y),
    }
}

/// As [`matmul`], each activation being taken as the sum of two bfloat16 where it would be rounded to one: as further rows
/// of activations, which cost little where memory sets the pace.
pub(super) fn matmul_split(matrix: &Matrix<'_>, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    if matches!(matrix.values, Values::F32(_) | Values::F16(_)) {
        return matmul(matrix, x, bias, y);
    }
    let most = most_tokens(&matrix.values) / 2;
    for (x, y) in x.chunks(most * matrix.cols).zip(y.chunks_mut(most * matrix.rows)) {
        let nearest = x.iter().map(|v| half::bf16::from_f32(*v).to_f32());
        let mut parts: Vec<f32> = nearest.collect();
        parts.extend_from_within(..);
        let (nearest, rest) = parts.split_at_mut(x.len());
        for ((rest, nearest), v) in rest.iter_mut().zip(nearest).zip(x) {
            *rest = *v - *nearest;
        }
        let mut sums = vec![0.0; 2 * y.len()];
        matmul(matrix, &parts, None, &mut sums);
        let (nearest, rest) = sums.split_at(y.len());
        y.iter_mut().zip(nearest.iter().zip(rest)).for_each(|(y, (nearest, rest))| *y = nearest + rest);
        if let Some(bias) = bias {
            y.chunks_exact_mut(matrix.rows).for_each(|row| row.iter_mut().zip(bias).for_each(|(v, b)| *v += b));
        }
    }
}

/// Tasks take neighbouring rows of the matrix.
fn product<F: Form>(form: F, matrix: &Matrix<'_>, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let Matrix { rows, cols, row_scales, .. } = *matrix;
    let tokens = x.len() / cols;
    assert!(super::available() && suits(matrix, tokens), "vector product: not for this machine or matrix");
    let (bytes, row_bytes) = (matrix.bytes(), cols * 64 / F::COLS);
    assert!(bytes.row_bytes() == row_bytes && bytes.holds(rows), "vector product: the matrix is too short");
    assert!(row_scales.is_none_or(|scales| scales.len() >= rows), "vector product: too few scales");
    // As many at a time, and about as many each time. All passes over the rows of a task find them in a cache.
    let at_once = tokens.div_ceil(tokens.div_ceil(AT_ONCE));
    // SAFETY: the machine has the sets (asserted above).
    let passes: Vec<Activations> =
        x.par_chunks(at_once * cols).map(|x| unsafe { Activations::new::<F>(x, cols) }).collect();
    let weights = Weights { form, bytes };
    let of_task = (TASK / row_bytes).max(1).next_multiple_of(kernel::ROWS);
    let target = Destination(y.as_mut_ptr());
    // Tasks one by one, since a thread may be slower than the others; those of a thread are mostly neighbours.
    (0..rows.div_ceil(of_task)).into_par_iter().with_max_len(1).for_each(|task| {
        let range = task * of_task..((task + 1) * of_task).min(rows);
        for (pass, x) in passes.iter().enumerate() {
            let write = |row: usize, token: usize, sum: f32| {
                let mut v = sum - x.excess(token);
                if let Some(scales) = row_scales {
                    v *= scales[row];
                }
                if let Some(bias) = bias {
                    v += bias[row];
                }
                // SAFETY: this task alone writes the columns of its rows of the result, `[T, rows]`, which outlives the loop.
                unsafe { target.at((pass * at_once + token) * rows + row).write(v) };
            };
            // SAFETY: the machine has the sets; the rows lie inside the matrix (both asserted above).
            unsafe { kernel::rows(&weights, range.clone(), x, write) };
        }
    });
}
