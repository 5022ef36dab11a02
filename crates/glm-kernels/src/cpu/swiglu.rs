//! SwiGLU: `y = silu(a) * b` with `a | b` the two halves of a row (Shazeer 2020).

use super::isa::widest;
use super::math::{sigmoid, sigmoid_and_rest};
use rayon::prelude::*;

/// `x`: `[T, 2F]`, `y`: `[T, F]`.
pub fn forward(x: &[f32], half: usize, y: &mut [f32]) {
    assert!(x.len() == 2 * y.len() && y.len().is_multiple_of(half), "swiglu: shapes");
    y.par_chunks_mut(half).zip(x.par_chunks(2 * half)).for_each(|(y, x)| {
        widest(
            #[inline(always)]
            || {
                let (a, b) = x.split_at(half);
                for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
                    *y = a * sigmoid(*a) * b;
                }
            },
        );
    });
}

/// Input gradient `[T, 2F]` from `dy [T, F]`.
pub fn input_gradient(x: &[f32], half: usize, dy: &[f32], dx: &mut [f32]) {
    assert!(x.len() == dx.len() && x.len() == 2 * dy.len(), "swiglu: shapes");
    dx.par_chunks_mut(2 * half).zip(x.par_chunks(2 * half)).zip(dy.par_chunks(half)).for_each(|((dx, x), dy)| {
        widest(
            #[inline(always)]
            || {
                let ((a, b), (da, db)) = (x.split_at(half), dx.split_at_mut(half));
                for ((((da, db), a), b), g) in da.iter_mut().zip(db).zip(a).zip(b).zip(dy) {
                    (*da, *db) = gradient(*a, *b, *g);
                }
            },
        );
    });
}

/// As [`input_gradient`], in the place of `x`.
pub fn input_gradient_in_place(x: &mut [f32], half: usize, dy: &[f32]) {
    assert!(x.len() == 2 * dy.len(), "swiglu: shapes");
    x.par_chunks_mut(2 * half).zip(dy.par_chunks(half)).for_each(|(x, dy)| {
        widest(
            #[inline(always)]
            || {
                let (a, b) = x.split_at_mut(half);
                for ((a, b), g) in a.iter_mut().zip(b).zip(dy) {
                    (*a, *b) = gradient(*a, *b, *g);
                }
            },
        );
    });
}

#[inline(always)]
fn gradient(a: f32, b: f32, g: f32) -> (f32, f32) {
    let (s, rest) = sigmoid_and_rest(a);
    (g * b * s * (1.0 + a * rest), g * a * s)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        /// Against the formula in `f64`, the gradient as the derivative that it is.
        #[test]
        fn values_are_those_of_the_formula(half in 1usize..150, rows in 1usize..4, reach in 0.1f32..120.0) {
            let x: Vec<f32> = (0..2 * half * rows).map(|i| (i as f32 * 0.731).sin() * reach).collect();
            let dy: Vec<f32> = (0..half * rows).map(|i| (i as f32 * 0.37).cos()).collect();
            let (mut y, mut dx) = (vec![0.0; half * rows], vec![0.0; x.len()]);
            super::forward(&x, half, &mut y);
            super::input_gradient(&x, half, &dy, &mut dx);
            let mut in_place = x.clone();
            super::input_gradient_in_place(&mut in_place, half, &dy);
            prop_assert_eq!(&in_place, &dx);
            let near = |found: f32, exact: f64| (f64::from(found) - exact).abs() < 1e-6 * (1.0 + exact.abs());
            for (i, (found, g)) in y.iter().zip(&dy).enumerate() {
                let (row, column) = (i / half, i % half);
                let at = row * 2 * half + column;
                let (a, b, g) = (f64::from(x[at]), f64::from(x[at + half]), f64::from(*g));
                let s = 1.0 / (1.0 + (-a).exp());
                prop_assert!(near(*found, a * s * b), "{a} {b}: {found}");
                prop_assert!(near(dx[at + half], g * a * s), "{a}: {}", dx[at + half]);
                let exact = g * b * s * (1.0 + a * (1.0 - s));
                // 1 + a (1 - s) is 0 near a = -1.28, so the error is that of the factor before it.
                let error = (f64::from(dx[at]) - exact).abs();
                prop_assert!(error < 1e-6 * (1.0 + exact.abs() + (g * b * s).abs()), "{a} {b}: {} {exact}", dx[at]);
            }
        }
    }
}
