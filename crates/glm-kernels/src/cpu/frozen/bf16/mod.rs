#![allow(unsafe_code)]
//! Products with a frozen matrix in bfloat16 with sums in f32 (`vdpbf16ps`), for machines that have the instruction.
//!
//! The activations are rounded to bfloat16, the weights too where they are not integers; row scales are applied in f32. So
//! each product has a relative error of at most 2⁻⁸ (INT4, INT8, bf16: one rounding of 2⁻⁹) before the sum. Every element
//! of a result is summed by one thread in one order: results do not depend on the number of threads. Products of few
//! rows take another way, in which less is rounded: see [`vector`].

mod left;
mod panel;
mod rows;
mod tile;
pub(super) mod vector;

use super::ahead::Ahead;
use super::{Along, Destination, Matrix, with_words};
use left::{Left, Part};
pub(super) use panel::transposed;
use rayon::prelude::*;
use std::sync::OnceLock;
use tile::{Finish, LANES, Target, tile};

/// How much of a matrix a task holds as panels, in the second-level cache.
#[derive(Clone, Copy)]
struct Portion {
    /// Panels of 32 columns of the result.
    panels: usize,
    /// Values of the sum; even.
    depth: usize,
}

/// Long rows of integers are read one after the other.
const ALONG_COLUMNS: Portion = Portion { panels: 1, depth: 4096 };
/// Rows of other weights are up to eight times as long: what is fetched ahead has to fit beside the panel.
const ALONG_LONG_COLUMNS: Portion = Portion { panels: 1, depth: 1024 };
/// 128 columns: a cache line of INT4, which would be read again for every panel otherwise.
const ALONG_ROWS: Portion = Portion { panels: 4, depth: 1024 };

/// Values of the sum by which all panels of a task are filled in turn, while the cache lines that they share are at hand.
const STRIP: usize = 128;

/// Whether this machine has what the kernels need.
pub fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        is_x86_feature_detected!("avx512bf16")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512vl")
            && crate::cpu::isa::isa() == crate::cpu::isa::Isa::Avx512
    })
}

/// Whether [`matmul`] of two parts rounds nothing of a matrix: not the integers, and no weights at all for few tokens.
pub(super) fn splits(matrix: &Matrix<'_>, tokens: usize) -> bool {
    matrix.values.are_integers() || vector::suits(matrix, tokens)
}

/// `y[T, rows] = x[T, cols] · Wᵀ + bias`; the lengths are right. `split`: `x` is taken as the sum of two bfloat16.
pub(super) fn matmul(matrix: &Matrix<'_>, split: bool, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    if vector::suits(matrix, x.len() / matrix.cols) {
        return if split { vector::matmul_split(matrix, x, bias, y) } else { vector::matmul(matrix, x, bias, y) };
    }
    let left = |part| Left::new(x, matrix.cols, None, part);
    let nearest = left(Part::Nearest);
    let scales = (matrix.row_scales, bias);
    if split {
        product(matrix, Along::Columns, &[nearest, left(Part::Rest)], scales, false, y);
    } else {
        product(matrix, Along::Columns, &[nearest], scales, false, y);
    }
}

/// `dx[T, cols] = dy[T, rows] · W`, added to what stands there if `add`; the lengths are right.
pub(super) fn input_gradient(matrix: &Matrix<'_>, dy: &[f32], dx: &mut [f32], add: bool) {
    let left = Left::new(dy, matrix.rows, matrix.row_scales, Part::Nearest);
    product(matrix, Along::Rows, &[left], (None, None), add, dx);
}

/// Every task makes the panels of some columns of the result and multiplies all rows of the sum of `lefts` with them. `add`:
/// to what stands in `out`, where scales and bias are `None`.
fn product(
    matrix: &Matrix<'_>,
    along: Along,
    lefts: &[Left],
    (scales, bias): (Option<&[f32]>, Option<&[f32]>),
    add: bool,
    out: &mut [f32],
) {
    assert!(available(), "bf16 product: the machine lacks the instructions");
    let (width, depth, portion) = match along {
        Along::Columns if matrix.values.are_integers() => (matrix.rows, matrix.cols, ALONG_COLUMNS),
        Along::Columns => (matrix.rows, matrix.cols, ALONG_LONG_COLUMNS),
        Along::Rows => (matrix.cols, matrix.rows, ALONG_ROWS),
    };
    let target = Destination(out.as_mut_ptr());
    let columns = portion.panels * LANES;
    let panel_len = portion.depth.min(depth.next_multiple_of(2)) / 2 * LANES;
    (0..width.div_ceil(columns)).into_par_iter().for_each(|number| {
        with_words(portion.panels * panel_len, |panels| {
            let task = number * columns..((number + 1) * columns).min(width);
            for first in (0..depth).step_by(portion.depth) {
                let sum = first..(first + portion.depth).min(depth);
                let used = sum.len().div_ceil(2) * LANES;
                let last = sum.end == depth;
                let parts = || task.clone().step_by(LANES).map(|start| start..(start + LANES).min(task.end));
                for start in sum.clone().step_by(STRIP) {
                    let strip = start..(start + STRIP).min(sum.end);
                    let at = (start - sum.start) / 2 * LANES..(strip.end - sum.start).div_ceil(2) * LANES;
                    for (lanes, panel) in parts().zip(panels.chunks_mut(panel_len)) {
                        // SAFETY: the machine has the sets (asserted above).
                        unsafe { panel::fill(matrix, along, lanes, strip.clone(), &mut panel[at.clone()]) };
                    }
                }
                let blocks =
                    || lefts[0].blocks().flat_map(|block| lefts.iter().enumerate().map(move |left| (block, left)));
                // The next part of the sum, or the next task's first.
                let next = match sum.end < depth {
                    true => (task.clone(), sum.end),
                    false => (task.end..(task.end + columns).min(width), 0),
                };
                let next_sum = next.1..(next.1 + portion.depth).min(depth);
                let ahead = Ahead::new(matrix, along, next.0, next_sum);
                let count = blocks().count();
                for (done, ((row, height), (part, left))) in blocks().enumerate() {
                    ahead.fetch(done, count);
                    let left = left.from((row, height), first / 2);
                    let (begins, ends) = (first == 0 && part == 0, last && part + 1 == lefts.len());
                    for (lanes, panel) in parts().zip(panels.chunks(panel_len)) {
                        let padded = |values: &[f32]| {
                            let mut lane_values = [0.0; LANES];
                            lane_values[..lanes.len()].copy_from_slice(&values[lanes.clone()]);
                            lane_values
                        };
                        let of_lanes = |values: Option<&[f32]>| values.filter(|_| ends).map(padded);
                        let finish = Finish { add: add || !begins, scales: of_lanes(scales), bias: of_lanes(bias) };
                        let target = Target { first: target.at(row * width + lanes.start), stride: width };
                        // SAFETY: this task alone writes its columns of the result, `[T, width]`, which outlives the loop.
                        unsafe { whole_or_part(height, left, &panel[..used], &finish, target, lanes.len()) };
                    }
                }
            }
        });
    });
}

/// A tile of which the target has the first `columns` columns.
///
/// # Safety
/// As [`tile`], for so many columns.
unsafe fn whole_or_part(rows: usize, left: &[u32], panel: &[u32], finish: &Finish, target: Target, columns: usize) {
    // SAFETY: passed on from the caller; the copy has all columns.
    unsafe {
        if columns == LANES {
            return tile(rows, left, panel, finish, target);
        }
        let mut copy = [0.0f32; left::MOST_ROWS * LANES];
        let at = |r: usize| target.first.add(r * target.stride);
        for r in 0..rows {
            std::ptr::copy_nonoverlapping(at(r), copy[r * LANES..].as_mut_ptr(), columns);
        }
        tile(rows, left, panel, finish, Target { first: copy.as_mut_ptr(), stride: LANES });
        for r in 0..rows {
            std::ptr::copy_nonoverlapping(copy[r * LANES..].as_ptr(), at(r), columns);
        }
    }
}
