//! LayerNorm: `y = w (x - mean(x)) / sqrt(var(x) + eps) + b`, with the variance over all values of a row (Ba et al. 2016,
//! equation 4, with eps inside the root as torch has it).

use rayon::prelude::*;

/// Mean and `1 / sqrt(variance + eps)` of a row. Sums are in `f64`: the difference of two near numbers would lose digits.
fn moments(row: &[f32], eps: f32) -> (f32, f32) {
    let width = row.len() as f64;
    let mean = row.iter().map(|v| f64::from(*v)).sum::<f64>() / width;
    let variance = row.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / width;
    (mean as f32, (1.0 / (variance + f64::from(eps)).sqrt()) as f32)
}

/// `x`, `y`: `[T, H]`; `weight`, `bias`: `[H]`.
pub fn forward(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) {
    let width = weight.len();
    assert!(x.len() == y.len() && bias.len() == width && x.len().is_multiple_of(width), "layer_norm: shapes");
    y.par_chunks_mut(width).zip(x.par_chunks(width)).for_each(|(y, x)| {
        let (mean, r) = moments(x, eps);
        y.iter_mut().zip(x).zip(weight.iter().zip(bias)).for_each(|((y, x), (w, b))| *y = w * ((x - mean) * r) + b);
    });
}

/// Input gradient `[T, H]`: with `n = (x - mean) r` and `g = w dy`, `dx = r (g - mean(g) - n mean(g n))`.
pub fn input_gradient(x: &[f32], weight: &[f32], eps: f32, dy: &[f32], dx: &mut [f32]) {
    let width = weight.len();
    assert!(x.len() == dy.len() && x.len() == dx.len() && x.len().is_multiple_of(width), "layer_norm: shapes");
    dx.par_chunks_mut(width).zip(x.par_chunks(width)).zip(dy.par_chunks(width)).for_each(|((dx, x), dy)| {
        let (mean, r) = moments(x, eps);
        let (mut sum, mut dot) = (0.0f64, 0.0f64);
        for ((x, g), w) in x.iter().zip(dy).zip(weight) {
            let g = f64::from(g * w);
            sum += g;
            dot += g * f64::from((x - mean) * r);
        }
        let (sum, dot) = ((sum / width as f64) as f32, (dot / width as f64) as f32);
        let rows = dx.iter_mut().zip(x).zip(dy).zip(weight);
        rows.for_each(|(((d, x), g), w)| *d = r * (w * g - sum - (x - mean) * r * dot));
    });
}

/// Gradients of weight and bias, `[H]` each: sums over tokens of `dy n` and of `dy`.
pub fn parameter_gradients(x: &[f32], eps: f32, dy: &[f32], dweight: &mut [f32], dbias: &mut [f32]) {
    let width = dweight.len();
    assert!(x.len() == dy.len() && dbias.len() == width && x.len().is_multiple_of(width), "layer_norm: shapes");
    dweight.fill(0.0);
    dbias.fill(0.0);
    for (x, dy) in x.chunks_exact(width).zip(dy.chunks_exact(width)) {
        let (mean, r) = moments(x, eps);
        for (((dw, db), x), g) in dweight.iter_mut().zip(dbias.iter_mut()).zip(x).zip(dy) {
            *dw += g * (x - mean) * r;
            *db += g;
        }
    }
}

#[cfg(test)]
mod tests {
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
