#![allow(unsafe_code)]
//! Products with a frozen matrix `W [rows, cols]` that is kept packed and unpacked block by block:
//! `y = x Wᵀ + b` and its input gradient `dx = dy W`. No weight gradient exists.

#[cfg(target_arch = "x86_64")]
mod ahead;
mod along;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod f32;
mod int8;
mod matrix;
mod packed;
pub mod scalar;

use along::Along;
pub use matrix::{Matrix, Values};
pub use packed::{Interleaved, LINE, Packed};

use std::cell::RefCell;
use std::thread::LocalKey;

/// In which numbers products with frozen matrices are made. Sums are in f32 in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compute {
    /// Both factors in f32.
    #[default]
    F32,
    /// Both factors rounded to bfloat16, which takes 8 bits of their significands; integers of quantized weights are exact.
    Bf16,
    /// As `Bf16`, but the activations of [`matmul`] are the sum of two bfloat16, which takes 16 bits, or, with weights that are
    /// no integers and many rows of activations, nothing is rounded.
    Bf16Split,
    /// Both factors as integers of 8 bits times a factor for at most 512 values, which takes 7 bits of the largest of them;
    /// integers of quantized weights are exact, and so are sums of up to 512. At most 8 rows of activations are multiplied as
    /// in `Bf16`.
    Int8,
    /// [`matmul`] as in `Bf16`, gradients as in `Int8`.
    Bf16Int8Gradient,
}

impl Compute {
    /// The numbers for queries, keys and values of a network that computes in these: the softmax multiplies what queries and
    /// keys are off by, so that a tenth of the work would make half of the error. Beside products in 8 bits, bfloat16 adds
    /// little to it, and takes half as long as the sum of two. Nothing multiplies what their gradient is off by.
    pub fn for_scores(self) -> Self {
        match self {
            Self::F32 => Self::F32,
            Self::Bf16 | Self::Bf16Split => Self::Bf16Split,
            Self::Int8 | Self::Bf16Int8Gradient => Self::Bf16Int8Gradient,
        }
    }

    /// The numbers for products with probabilities, in a network that computes in these. They are all positive and few of them
    /// are large: 8 bits would make nearly all of them 0, and what is lost has one sign.
    pub fn for_probabilities(self) -> Self {
        match self {
            Self::Int8 | Self::Bf16Int8Gradient if Self::Bf16.available() => Self::Bf16,
            Self::Int8 | Self::Bf16Int8Gradient => Self::F32,
            other => other,
        }
    }

    /// Whether this machine has the instructions. Without them [`matmul`] and [`input_gradient`] use f32, and slow code that
    /// gives the same bits for `Int8`.
    pub fn available(self) -> bool {
        match self {
            Self::F32 => true,
            #[cfg(target_arch = "x86_64")]
            Self::Bf16 | Self::Bf16Split => bf16::available(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Bf16 | Self::Bf16Split => false,
            Self::Int8 => int8::available(),
            Self::Bf16Int8Gradient => Self::Bf16.available() && Self::Int8.available(),
        }
    }

    /// Numbers of [`matmul`] with so many rows of activations.
    fn forward(self, tokens: usize) -> Self {
        match self {
            Self::Bf16Int8Gradient => Self::Bf16,
            other => other.gradient(tokens),
        }
    }

    /// Numbers of a gradient with so many rows.
    fn gradient(self, tokens: usize) -> Self {
        match self {
            Self::Int8 | Self::Bf16Int8Gradient if tokens <= int8::MOST_EXACT => Self::Bf16,
            Self::Int8 | Self::Bf16Int8Gradient => Self::Int8,
            other => other,
        }
    }
}

/// `y[T, rows] = x[T, cols] · Wᵀ + bias`.
pub fn matmul(matrix: &Matrix<'_>, compute: Compute, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let Matrix { rows, cols, .. } = *matrix;
    let tokens = x.len() / cols;
    assert_eq!(x.len(), tokens * cols, "matmul: input is not [T, {cols}]");
    assert_eq!(y.len(), tokens * rows, "matmul: result is not [T, {rows}]");
    assert!(bias.is_none_or(|bias| bias.len() == rows), "matmul: bias is not [{rows}]");
    let compute = compute.forward(tokens);
    match compute {
        Compute::Int8 => int8::matmul(matrix, x, bias, y),
        #[cfg(target_arch = "x86_64")]
        Compute::Bf16 if compute.available() => bf16::matmul(matrix, false, x, bias, y),
        #[cfg(target_arch = "x86_64")]
        Compute::Bf16Split if compute.available() && bf16::splits(matrix, tokens) => {
            bf16::matmul(matrix, true, x, bias, y);
        }
        _ => f32::matmul(matrix, x, bias, y),
    }
}

/// `dx[T, cols] = dy[T, rows] · W`.
pub fn input_gradient(matrix: &Matrix<'_>, compute: Compute, dy: &[f32], dx: &mut [f32]) {
    gradient(matrix, compute, dy, dx, false);
}

/// `dx[T, cols] += dy[T, rows] · W`.
pub fn add_input_gradient(matrix: &Matrix<'_>, compute: Compute, dy: &[f32], dx: &mut [f32]) {
    gradient(matrix, compute, dy, dx, true);
}

fn gradient(matrix: &Matrix<'_>, compute: Compute, dy: &[f32], dx: &mut [f32], add: bool) {
    let Matrix { rows, cols, .. } = *matrix;
    let tokens = dy.len() / rows;
    assert_eq!(dy.len(), tokens * rows, "input gradient: dy is not [T, {rows}]");
    assert_eq!(dx.len(), tokens * cols, "input gradient: result is not [T, {cols}]");
    let compute = compute.gradient(tokens);
    match compute {
        Compute::Int8 => int8::input_gradient(matrix, dy, dx, add),
        #[cfg(target_arch = "x86_64")]
        Compute::Bf16 | Compute::Bf16Split if compute.available() => bf16::input_gradient(matrix, dy, dx, add),
        _ => f32::input_gradient(matrix, dy, dx, add),
    }
}

thread_local! {
    static FLOATS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    #[cfg(target_arch = "x86_64")]
    static WORDS: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` on this thread's scratch of `len` values.
fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    with(&FLOATS, len, work)
}

/// The same of words.
#[cfg(target_arch = "x86_64")]
fn with_words<R>(len: usize, work: impl FnOnce(&mut [u32]) -> R) -> R {
    with(&WORDS, len, work)
}

fn with<T: Copy + Default, R>(
    scratch: &'static LocalKey<RefCell<Vec<T>>>,
    len: usize,
    work: impl FnOnce(&mut [T]) -> R,
) -> R {
    // The buffer is taken out while it is used: a nested task on the same thread then makes its own.
    let mut buffer = scratch.take();
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    let result = work(&mut buffer[..len]);
    scratch.set(buffer);
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

#[cfg(test)]
mod tests;
