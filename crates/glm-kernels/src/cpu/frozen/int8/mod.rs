//! Products in 8-bit integers with exact integer sums.
//!
//! The sum of a product is cut into blocks of [`BLOCK`]. In each block the activations of a token are `q · s`, `q` integers of
//! −127 … 127 and `s` the largest of them divided by 127; the integers of INT4 and INT8 weights are taken as they are, and
//! other weights are rounded like activations, with a factor for every result and block. A block's integers are summed
//! exactly, and the sums of blocks, times their factors, are added in f32. So only activations (and float weights) are
//! rounded, by at most 1/254 of the largest value of their block.
//!
//! In the input gradient the row scales of the matrix go into `dy` before it is rounded.

mod quantize;
pub(super) mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::{Along, Matrix};

/// Values of a sum that share a factor. Their integer sum is below 2²⁴, which f32 holds exactly.
const BLOCK: usize = 512;

/// Most rows of activations that are multiplied as [`super::Compute::Bf16`] does: memory sets the pace there.
pub(super) const MOST_EXACT: usize = 8;

/// Whether this machine has instructions for it; [`scalar`] gives the same bits without them.
pub(super) fn available() -> bool {
    #[cfg(target_arch = "x86_64")]
    return x86::available();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// `y[T, rows] = x[T, cols] · Wᵀ + bias`; the lengths are right.
pub(super) fn matmul(matrix: &Matrix<'_>, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if available() {
        return x86::product(matrix, Along::Columns, x, bias, false, y);
    }
    scalar::product(matrix, Along::Columns, x, bias, false, y);
}

/// `dx[T, cols] = dy[T, rows] · W`, or `+=` with `add`; the lengths are right.
pub(super) fn input_gradient(matrix: &Matrix<'_>, dy: &[f32], dx: &mut [f32], add: bool) {
    #[cfg(target_arch = "x86_64")]
    if available() {
        return x86::product(matrix, Along::Rows, dy, None, add, dx);
    }
    scalar::product(matrix, Along::Rows, dy, None, add, dx);
}

#[cfg(test)]
mod tests;
