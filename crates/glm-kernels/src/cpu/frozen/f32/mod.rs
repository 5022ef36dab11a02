#![allow(unsafe_code)]
//! Products in f32: blocks of the matrix are unpacked to `f32`, and the `gemm` crate multiplies, or, with few rows
//! of activations, a loop that needs no block.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) mod few;

use super::{Destination, Matrix, with_scratch};
use crate::cpu::gemm::{View, gemm_raw};
use rayon::prelude::*;

/// Values of a block that is unpacked at a time: small enough for the second-level cache.
const BLOCK: usize = 128 * 1024;
/// Values added to each row of a block. Without them rows are often a power of two apart, so that all values of a column fall
/// into the same places of the caches, and turning the block takes as long as the product.
const PADDING: usize = 16;
/// Columns of one block of the input gradient.
const COLUMNS: usize = 512;

fn row_blocks(rows: usize, cols: usize) -> usize {
    (BLOCK / cols.max(1)).clamp(16, 256).min(rows.max(1))
}

/// `y[T, rows] = x[T, cols] · Wᵀ + bias`; the lengths are right.
pub(super) fn matmul(matrix: &Matrix<'_>, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let out = matrix.rows;
    product(matrix, x, y);
    if let Some(scales) = matrix.row_scales {
        y.par_chunks_mut(out).for_each(|row| row.iter_mut().zip(scales).for_each(|(v, s)| *v *= s));
    }
    if let Some(bias) = bias {
        y.par_chunks_mut(out).for_each(|row| row.iter_mut().zip(bias).for_each(|(v, b)| *v += b));
    }
}

/// `y = x Wᵀ` without row scales.
fn product(matrix: &Matrix<'_>, x: &[f32], y: &mut [f32]) {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if few::suits(matrix, x.len() / matrix.cols) {
        return few::product(matrix, x, y);
    }
    many(matrix, x, y);
}

/// The same by the `gemm` crate.
fn many(matrix: &Matrix<'_>, x: &[f32], y: &mut [f32]) {
    let (out, inner) = (matrix.rows, matrix.cols);
    let (tokens, stride, step) = (x.len() / inner, inner + PADDING, row_blocks(out, inner));
    let target = Destination(y.as_mut_ptr());
    (0..out.div_ceil(step)).into_par_iter().for_each(|block| {
        let rows = block * step..((block + 1) * step).min(out);
        let width = rows.len();
        with_scratch(width * stride, |panel| {
            for (row, panel) in rows.clone().zip(panel.chunks_exact_mut(stride)) {
                matrix.unpack(row..row + 1, 0..inner, &mut panel[..inner]);
            }
            // SAFETY: this task alone writes columns `rows` of `y`, which is [tokens, out] (asserted by the caller) and
            // outlives the parallel loop; the views lie inside their slices.
            unsafe {
                let (a, b) = (View::rows(x, inner), View::new(panel, 1, stride));
                gemm_raw((tokens, width, inner), target.at(rows.start), out, false, a, b, 1.0);
            }
        });
    });
}

/// `dx[T, cols] = dy[T, rows] · W`, added to what stands there if `add`; the lengths are right.
pub(super) fn input_gradient(matrix: &Matrix<'_>, dy: &[f32], dx: &mut [f32], add: bool) {
    let (out, inner) = (matrix.rows, matrix.cols);
    let tokens = dy.len() / out;
    let scaled: Vec<f32>;
    let dy = match matrix.row_scales {
        Some(scales) => {
            scaled = dy.chunks_exact(out).flat_map(|row| row.iter().zip(scales).map(|(v, s)| v * s)).collect();
            &scaled
        }
        None => dy,
    };
    let columns = COLUMNS.next_multiple_of(matrix.column_step());
    let target = Destination(dx.as_mut_ptr());
    (0..inner.div_ceil(columns)).into_par_iter().for_each(|block| {
        let cols = block * columns..((block + 1) * columns).min(inner);
        let width = cols.len();
        let step = row_blocks(out, width);
        with_scratch(step * width, |panel| {
            for first in (0..out).step_by(step) {
                let rows = first..(first + step).min(out);
                let panel = &mut panel[..rows.len() * width];
                matrix.unpack(rows.clone(), cols.clone(), panel);
                // SAFETY: this task alone writes columns `cols` of `dx`, which is [tokens, inner] (asserted by the caller) and
                // outlives the parallel loop; `dy[first..]` is a [tokens, rows] view with stride `out`.
                unsafe {
                    let (a, b) = (View::new(&dy[first..], out, 1), View::rows(panel, width));
                    gemm_raw((tokens, width, rows.len()), target.at(cols.start), inner, add || first > 0, a, b, 1.0);
                }
            }
        });
    });
}
