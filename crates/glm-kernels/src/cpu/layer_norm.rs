//! LayerNorm: `y = w (x - mean(x)) / sqrt(var(x) + eps) + b`, with the variance over all values of a row (Ba et al. 2016,
//! equation 4, with eps inside the root as torch has it).

use super::isa::widest;
use super::lanes;
use rayon::prelude::*;

/// Mean and `1 / sqrt(variance + eps)` of a row. Sums are in `f64`: the difference of two near numbers would lose digits.
#[inline(always)]
fn moments(row: &[f32], eps: f32) -> (f32, f32) {
    let width = row.len() as f64;
    let mean = lanes::sum(row, f64::from) / width;
    let squares = lanes::sum(row, |v| {
        let d = f64::from(v) - mean;
        d * d
    });
    (mean as f32, (1.0 / (squares / width + f64::from(eps)).sqrt()) as f32)
}

/// `x`, `y`: `[T, H]`; `weight`, `bias`: `[H]`.
pub fn forward(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) {
    let width = weight.len();
    assert!(x.len() == y.len() && bias.len() == width && x.len().is_multiple_of(width), "layer_norm: shapes");
    y.par_chunks_mut(width).zip(x.par_chunks(width)).for_each(|(y, x)| {
        widest(
            #[inline(always)]
            || {
                let (mean, r) = moments(x, eps);
                for (((y, x), w), b) in y.iter_mut().zip(x).zip(weight).zip(bias) {
                    *y = w * ((x - mean) * r) + b;
                }
            },
        );
    });
}

/// Input gradient `[T, H]`: with `n = (x - mean) r` and `g = w dy`, `dx = r (g - mean(g) - n mean(g n))`.
pub fn input_gradient(x: &[f32], weight: &[f32], eps: f32, dy: &[f32], dx: &mut [f32]) {
    let width = weight.len();
    assert!(x.len() == dy.len() && x.len() == dx.len() && x.len().is_multiple_of(width), "layer_norm: shapes");
    dx.par_chunks_mut(width).zip(x.par_chunks(width)).zip(dy.par_chunks(width)).for_each(|((dx, x), dy)| {
        widest(
            #[inline(always)]
            || {
                let (mean, r) = moments(x, eps);
                for ((d, g), w) in dx.iter_mut().zip(dy).zip(weight) {
                    *d = g * w;
                }
                let sum = (lanes::sum(dx, f64::from) / width as f64) as f32;
                let dot = lanes::sum_of_two(dx, x, |g, x| f64::from(g) * f64::from((x - mean) * r));
                let dot = (dot / width as f64) as f32;
                for (d, x) in dx.iter_mut().zip(x) {
                    *d = r * (*d - sum - (x - mean) * r * dot);
                }
            },
        );
    });
}

/// Gradients of weight and bias, `[H]` each: sums over tokens of `dy n` and of `dy`.
pub fn parameter_gradients(x: &[f32], eps: f32, dy: &[f32], dweight: &mut [f32], dbias: &mut [f32]) {
    let width = dweight.len();
    assert!(x.len() == dy.len() && dbias.len() == width && x.len().is_multiple_of(width), "layer_norm: shapes");
    dweight.fill(0.0);
    dbias.fill(0.0);
    for (x, dy) in x.chunks_exact(width).zip(dy.chunks_exact(width)) {
        widest(
            #[inline(always)]
            || {
                let (mean, r) = moments(x, eps);
                for (((dw, db), x), g) in dweight.iter_mut().zip(dbias.iter_mut()).zip(x).zip(dy) {
                    *dw += g * (x - mean) * r;
                    *db += g;
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
        fn values_are_those_of_the_formula(width in 2usize..300, rows in 1usize..4, reach in 0.01f32..50.0) {
            let wave = |n: usize, f: f32| -> Vec<f32> { (0..n).map(|i| (i as f32 * f + 0.1).sin()).collect() };
            let x: Vec<f32> = wave(rows * width, 0.731).iter().map(|v| v * reach).collect();
            let (w, b, dy, eps) = (wave(width, 0.37), wave(width, 0.19), wave(rows * width, 0.53), 1e-5);
            let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            let (mut dw, mut db) = (vec![0.0; width], vec![0.0; width]);
            super::forward(&x, &w, &b, eps, &mut y);
            super::input_gradient(&x, &w, eps, &dy, &mut dx);
            super::parameter_gradients(&x, eps, &dy, &mut dw, &mut db);
            let (mut exact_dw, mut exact_db) = (vec![0.0f64; width], vec![0.0f64; width]);
            let near = |found: f32, exact: f64, size: f64| (f64::from(found) - exact).abs() < 2e-6 * (size + exact.abs());
            for at in (0..x.len()).step_by(width) {
                let value = |a: &[f32], i: usize| f64::from(a[i]);
                let average = |term: &dyn Fn(usize) -> f64| (0..width).map(term).sum::<f64>() / width as f64;
                let mean = average(&|i| value(&x, at + i));
                let r = 1.0 / (average(&|i| (value(&x, at + i) - mean).powi(2)) + f64::from(eps)).sqrt();
                let n = |i: usize| (value(&x, at + i) - mean) * r;
                let g = |i: usize| value(&dy, at + i) * value(&w, i);
                let (sum, dot) = (average(&g), average(&|i| g(i) * n(i)));
                for i in 0..width {
                    // The mean is rounded to f32, beside values as large as `reach`.
                    let size = 1.0 + f64::from(reach) * r;
                    let (exact, found) = (value(&w, i) * n(i) + value(&b, i), y[at + i]);
                    prop_assert!(near(found, exact, size), "{found} {exact}");
                    let (exact, found) = (r * (g(i) - sum - n(i) * dot), dx[at + i]);
                    prop_assert!(near(found, exact, size * r), "{found} {exact}");
                    exact_dw[i] += value(&dy, at + i) * n(i);
                    exact_db[i] += value(&dy, at + i);
                }
                for i in 0..width {
                    let size = 4.0 + 4.0 * f64::from(reach) * r;
                    if at + width == x.len() {
                        prop_assert!(near(dw[i], exact_dw[i], size), "{} {}", dw[i], exact_dw[i]);
                        prop_assert!(near(db[i], exact_db[i], size), "{} {}", db[i], exact_db[i]);
                    }
                }
            }
        }
    }

    #[test]
    fn rows_have_the_moments_that_were_asked_for() {
        // A large common offset is what a variance from squares would lose.
        let x: Vec<f32> = (0..48).map(|i| 1000.0 + (i as f32 * 0.7).sin()).collect();
        let mut y = vec![0.0; 48];
        super::forward(&x, &[2.0; 16], &[0.5; 16], 1e-9, &mut y);
        for row in y.chunks(16) {
            let mean = row.iter().sum::<f32>() / 16.0;
            let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 16.0;
            assert!((mean - 0.5).abs() < 1e-3 && (variance - 4.0).abs() < 1e-3, "{mean} {variance}");
        }
    }
}
