#![allow(unsafe_code)]
//! Products with a frozen weight `W [out, in]` that is kept packed and unpacked block by block:
//! `y = x Wᵀ` and its input gradient `dx = dy W`. No weight gradient exists.

pub mod scalar;

use super::gemm::{View, gemm_raw};
use rayon::prelude::*;
use std::cell::RefCell;
use std::ops::Range;

/// A packed weight that can write any block of itself as `f32`.
pub trait Blocks: Sync {
    /// `(out, in)`.
    fn shape(&self) -> (usize, usize);

    /// Columns at which a block may begin or end are multiples of this (packing or group width).
    fn column_step(&self) -> usize;

    /// Writes `W[rows, cols]` row-major into `out`, without the row scales.
    fn unpack(&self, rows: Range<usize>, cols: Range<usize>, out: &mut [f32]);

    /// Scale per row, `[out]`, that [`Blocks::unpack`] leaves out.
    fn row_scales(&self) -> Option<&[f32]>;
}

/// Values of a block that is unpacked at a time: small enough for the second-level cache.
const BLOCK: usize = 128 * 1024;
/// Columns of one block of the input gradient.
const COLUMNS: usize = 512;

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` on this thread's scratch of at least `len` values.
fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    // The buffer is taken out while it is used: a nested task on the same thread then makes its own.
    let mut buffer = SCRATCH.with(RefCell::take);
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    let result = work(&mut buffer[..len]);
    SCRATCH.with(|cell| *cell.borrow_mut() = buffer);
    result
}

#[derive(Clone, Copy)]
struct Destination(*mut f32);
// SAFETY: tasks write disjoint columns; see the two uses.
unsafe impl Send for Destination {}
// SAFETY: as above.
unsafe impl Sync for Destination {}

impl Destination {
    // A method, so that closures capture the wrapper and not the raw pointer inside.
    fn at(&self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

fn row_blocks(rows: usize, cols: usize) -> usize {
    (BLOCK / cols.max(1)).clamp(16, 256).min(rows.max(1))
}

/// `y[T, out] = x[T, in] · Wᵀ`.
pub fn matmul(weight: &dyn Blocks, x: &[f32], y: &mut [f32]) {
    let (out, inner) = weight.shape();
    let tokens = x.len() / inner;
    assert_eq!(x.len(), tokens * inner, "matmul: input is not [T, {inner}]");
    assert_eq!(y.len(), tokens * out, "matmul: result is not [T, {out}]");
    let step = row_blocks(out, inner);
    let target = Destination(y.as_mut_ptr());
    (0..out.div_ceil(step)).into_par_iter().for_each(|block| {
        let rows = block * step..((block + 1) * step).min(out);
        let width = rows.len();
        with_scratch(width * inner, |panel| {
            weight.unpack(rows.clone(), 0..inner, panel);
            // SAFETY: this task alone writes columns `rows` of `y`, which is [tokens, out] (asserted above) and
            // outlives the parallel loop; the views cover exactly their slices.
            unsafe {
                let (a, b) = (View::rows(x, inner), View::rows(panel, inner).t());
                gemm_raw((tokens, width, inner), target.at(rows.start), out, false, a, b, 1.0);
            }
        });
    });
    if let Some(scales) = weight.row_scales() {
        y.par_chunks_mut(out).for_each(|row| row.iter_mut().zip(scales).for_each(|(v, s)| *v *= s));
    }
}

/// `dx[T, in] = dy[T, out] · W`.
pub fn input_gradient(weight: &dyn Blocks, dy: &[f32], dx: &mut [f32]) {
    let (out, inner) = weight.shape();
    let tokens = dy.len() / out;
    assert_eq!(dy.len(), tokens * out, "input gradient: dy is not [T, {out}]");
    assert_eq!(dx.len(), tokens * inner, "input gradient: result is not [T, {inner}]");
    let scaled: Vec<f32>;
    let dy = match weight.row_scales() {
        Some(scales) => {
            scaled = dy.chunks_exact(out).flat_map(|row| row.iter().zip(scales).map(|(v, s)| v * s)).collect();
            &scaled
        }
        None => dy,
    };
    let columns = COLUMNS.next_multiple_of(weight.column_step());
    let target = Destination(dx.as_mut_ptr());
    (0..inner.div_ceil(columns)).into_par_iter().for_each(|block| {
        let cols = block * columns..((block + 1) * columns).min(inner);
        let width = cols.len();
        let step = row_blocks(out, width);
        with_scratch(step * width, |panel| {
            for first in (0..out).step_by(step) {
                let rows = first..(first + step).min(out);
                let panel = &mut panel[..rows.len() * width];
                weight.unpack(rows.clone(), cols.clone(), panel);
                // SAFETY: this task alone writes columns `cols` of `dx`, which is [tokens, inner] (asserted above) and
                // outlives the parallel loop; `dy[first..]` is a [tokens, rows] view with stride `out`.
                unsafe {
                    let (a, b) = (View::new(&dy[first..], out, 1), View::rows(panel, width));
                    gemm_raw((tokens, width, rows.len()), target.at(cols.start), inner, first > 0, a, b, 1.0);
                }
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Plain {
        rows: usize,
        cols: usize,
        data: Vec<f32>,
        scales: Option<Vec<f32>>,
    }

    impl Blocks for Plain {
        fn shape(&self) -> (usize, usize) {
            (self.rows, self.cols)
        }
        fn column_step(&self) -> usize {
            1
        }
        fn unpack(&self, rows: Range<usize>, cols: Range<usize>, out: &mut [f32]) {
            for (r, target) in rows.zip(out.chunks_exact_mut(cols.len())) {
                target.copy_from_slice(&self.data[r * self.cols + cols.start..r * self.cols + cols.end]);
            }
        }
        fn row_scales(&self) -> Option<&[f32]> {
            self.scales.as_deref()
        }
    }

    fn wave(n: usize, phase: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * 0.37 + phase).sin()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn blocked_products_equal_the_scalar_twin(
            tokens in 1usize..9, rows in 1usize..300, cols in 1usize..700, scaled: bool,
        ) {
            let scales = scaled.then(|| wave(rows, 0.3));
            let weight = Plain { rows, cols, data: wave(rows * cols, 0.1), scales };
            let (x, dy) = (wave(tokens * cols, 0.5), wave(tokens * rows, 0.7));
            let (mut y, mut expected) = (vec![9.0; tokens * rows], vec![0.0; tokens * rows]);
            matmul(&weight, &x, &mut y);
            scalar::matmul(&weight, &x, &mut expected);
            for (a, b) in y.iter().zip(&expected) {
                prop_assert!((a - b).abs() <= 1e-4 + b.abs() * 1e-4, "{a} {b}");
            }
            let (mut dx, mut expected) = (vec![9.0; tokens * cols], vec![0.0; tokens * cols]);
            input_gradient(&weight, &dy, &mut dx);
            scalar::input_gradient(&weight, &dy, &mut expected);
            for (a, b) in dx.iter().zip(&expected) {
                prop_assert!((a - b).abs() <= 1e-4 + b.abs() * 1e-4, "{a} {b}");
            }
        }
    }
}
