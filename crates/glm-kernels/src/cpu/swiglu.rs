//! SwiGLU: `y = silu(a) * b` with `a | b` the two halves of a row (Shazeer 2020).

use rayon::prelude::*;

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// `x`: `[T, 2F]`, `y`: `[T, F]`.
pub fn forward(x: &[f32], half: usize, y: &mut [f32]) {
    assert!(x.len() == 2 * y.len() && y.len().is_multiple_of(half), "swiglu: shapes");
    y.par_chunks_mut(half).zip(x.par_chunks(2 * half)).for_each(|(y, x)| {
        let (a, b) = x.split_at(half);
        y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = a * sigmoid(*a) * b);
    });
}

/// Input gradient `[T, 2F]` from `dy [T, F]`.
pub fn input_gradient(x: &[f32], half: usize, dy: &[f32], dx: &mut [f32]) {
    assert!(x.len() == dx.len() && x.len() == 2 * dy.len(), "swiglu: shapes");
    dx.par_chunks_mut(2 * half).zip(x.par_chunks(2 * half)).zip(dy.par_chunks(half)).for_each(|((dx, x), dy)| {
        let ((a, b), (da, db)) = (x.split_at(half), dx.split_at_mut(half));
        for i in 0..half {
            let s = sigmoid(a[i]);
            db[i] = dy[i] * a[i] * s;
            da[i] = dy[i] * b[i] * s * (1.0 + a[i] * (1.0 - s));
        }
    });
}
