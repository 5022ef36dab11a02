//! RMSNorm: `y = w * x / sqrt(mean(x²) + eps)` (Zhang & Sennrich 2019, eq. 4, with eps inside the root).

use super::isa::widest;
use super::lanes;
use rayon::prelude::*;

#[inline(always)]
fn inverse_rms(row: &[f32], eps: f32) -> f32 {
    1.0 / (lanes::dot(row, row) / row.len() as f32 + eps).sqrt()
}

/// `x`, `y`: `[T, H]`; `weight`: `[H]`.
pub fn forward(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
    let width = weight.len();
    assert!(x.len() == y.len() && x.len().is_multiple_of(width), "rms_norm: shapes");
    y.par_chunks_mut(width).zip(x.par_chunks(width)).for_each(|(y, x)| {
        widest(
            #[inline(always)]
            || {
                let r = inverse_rms(x, eps);
                for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
                    *y = w * (x * r);
                }
            },
        );
    });
}

/// Input gradient `[T, H]`: `dx = r (w dy - x r² mean(w dy x))`.
pub fn input_gradient(x: &[f32], weight: &[f32], eps: f32, dy: &[f32], dx: &mut [f32]) {
    let width = weight.len();
    assert!(x.len() == dy.len() && x.len() == dx.len(), "rms_norm: shapes");
    dx.par_chunks_mut(width).zip(x.par_chunks(width)).zip(dy.par_chunks(width)).for_each(|((dx, x), dy)| {
        widest(
            #[inline(always)]
            || {
                let r = inverse_rms(x, eps);
                for ((d, g), w) in dx.iter_mut().zip(dy).zip(weight) {
                    *d = g * w;
                }
                let c = r * r * lanes::dot(x, dx) / width as f32;
                for (d, x) in dx.iter_mut().zip(x) {
                    *d = r * (*d - x * c);
                }
            },
        );
    });
}

/// Weight gradient `[H]`: sum over tokens of `dy x r`.
pub fn weight_gradient(x: &[f32], eps: f32, dy: &[f32], dw: &mut [f32]) {
    let width = dw.len();
    dw.fill(0.0);
    for (x, dy) in x.chunks_exact(width).zip(dy.chunks_exact(width)) {
        widest(
            #[inline(always)]
            || {
                let r = inverse_rms(x, eps);
                for ((d, x), g) in dw.iter_mut().zip(x).zip(dy) {
                    *d += g * x * r;
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_are_those_of_the_formula(width in 1usize..300, rows in 1usize..4, reach in 0.01f32..50.0) {
            let wave = |n: usize, f: f32| -> Vec<f32> { (0..n).map(|i| (i as f32 * f + 0.1).sin()).collect() };
            let x: Vec<f32> = wave(rows * width, 0.731).iter().map(|v| v * reach).collect();
            let (w, dy, eps) = (wave(width, 0.37), wave(rows * width, 0.53), 1e-5);
            let (mut y, mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; x.len()], vec![0.0; width]);
            super::forward(&x, &w, eps, &mut y);
            super::input_gradient(&x, &w, eps, &dy, &mut dx);
            super::weight_gradient(&x, eps, &dy, &mut dw);
            let mut exact_dw = vec![0.0f64; width];
            for at in (0..x.len()).step_by(width) {
                let value = |a: &[f32], i: usize| f64::from(a[i]);
                let r = 1.0 / ((0..width).map(|i| value(&x, at + i).powi(2)).sum::<f64>() / width as f64
                    + f64::from(eps)).sqrt();
                let dot: f64 = (0..width).map(|i| value(&x, at + i) * value(&dy, at + i) * value(&w, i)).sum();
                for (i, exact_dw) in exact_dw.iter_mut().enumerate() {
                    let (x, g, w) = (value(&x, at + i), value(&dy, at + i), value(&w, i));
                    let (exact, found) = (w * x * r, value(&y, at + i));
                    prop_assert!((found - exact).abs() < 1e-6 * (1.0 + exact.abs()), "{found} {exact}");
                    let (exact, found) = (r * (w * g - x * r * r * dot / width as f64), value(&dx, at + i));
                    prop_assert!((found - exact).abs() < 2e-6 * (exact.abs() + 3.0 * r), "{found} {exact}");
                    *exact_dw += g * x * r;
                }
            }
            for (found, exact) in dw.iter().zip(exact_dw) {
                prop_assert!((f64::from(*found) - exact).abs() < 2e-6 * (1.0 + exact.abs()), "{found} {exact}");
            }
        }
    }
}
