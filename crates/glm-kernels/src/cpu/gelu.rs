//! GELU in its tanh form: `y = x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))` (Hendrycks & Gimpel 2016, section 2).
//!
//! Since `1 + tanh(u) = 2 sigmoid(2u)`, that is `x s` with `s = sigmoid(2u)`, which loses no digits where `tanh` is near -1.

use super::isa::widest;
use super::math::{sigmoid, sigmoid_and_rest};
use rayon::prelude::*;

/// 2 √(2/π).
const TWO_ROOTS: f32 = 1.595_769;
const CUBIC: f32 = 0.044_715;
/// Values that one task works on.
const CHUNK: usize = 1 << 12;

#[inline(always)]
fn twice_u(x: f32) -> f32 {
    TWO_ROOTS * x * (1.0 + CUBIC * x * x)
}

/// `x`, `y`: any equal lengths.
pub fn forward(x: &[f32], y: &mut [f32]) {
    assert!(x.len() == y.len(), "gelu: shapes");
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        widest(
            #[inline(always)]
            || {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = x * sigmoid(twice_u(*x));
                }
            },
        );
    });
}

/// Input gradient: `dx = dy (s + x s (1 - s) 2 √(2/π) (1 + 3 · 0.044715 x²))`.
pub fn input_gradient(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert!(x.len() == dy.len() && x.len() == dx.len(), "gelu: shapes");
    dx.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).zip(dy.par_chunks(CHUNK)).for_each(|((dx, x), dy)| {
        widest(
            #[inline(always)]
            || {
                for ((d, x), g) in dx.iter_mut().zip(x).zip(dy) {
                    *d = g * slope(*x);
                }
            },
        );
    });
}

/// As [`input_gradient`], in the place of `x`.
pub fn input_gradient_in_place(x: &mut [f32], dy: &[f32]) {
    assert!(x.len() == dy.len(), "gelu: shapes");
    x.par_chunks_mut(CHUNK).zip(dy.par_chunks(CHUNK)).for_each(|(x, dy)| {
        widest(
            #[inline(always)]
            || {
                for (x, g) in x.iter_mut().zip(dy) {
                    *x = g * slope(*x);
                }
            },
        );
    });
}

#[inline(always)]
fn slope(x: f32) -> f32 {
    let (s, rest) = sigmoid_and_rest(twice_u(x));
    s + x * (s * rest) * (TWO_ROOTS * (1.0 + 3.0 * CUBIC * x * x))
}

#[cfg(test)]
mod tests {
    /// Against the formula in `f64`, far outside the middle too.
    #[test]
    fn values_are_those_of_the_formula() {
        let x: Vec<f32> = (-4003..=4003).map(|i| i as f32 * 0.01).collect();
        let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        super::forward(&x, &mut y);
        super::input_gradient(&x, &vec![2.0; x.len()], &mut dx);
        let mut in_place = x.clone();
        super::input_gradient_in_place(&mut in_place, &vec![2.0; x.len()]);
        assert_eq!(in_place, dx);
        let root = (2.0 / std::f64::consts::PI).sqrt();
        for ((x, y), dx) in x.iter().zip(y).zip(dx) {
            let x = f64::from(*x);
            let t = (root * (x + 0.044715 * x.powi(3))).tanh();
            assert!((f64::from(y) - 0.5 * x * (1.0 + t)).abs() < 1e-6 * (1.0 + x.abs()), "{x}: {y}");
            let slope = 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * root * (1.0 + 3.0 * 0.044715 * x * x);
            assert!((f64::from(dx) - 2.0 * slope).abs() < 2e-6, "{x}: {dx} {}", 2.0 * slope);
        }
    }
}
