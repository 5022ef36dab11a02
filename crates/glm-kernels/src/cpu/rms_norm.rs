//! RMSNorm: `y = w * x / sqrt(mean(x²) + eps)` (Zhang & Sennrich 2019, eq. 4, with eps inside the root).

use rayon::prelude::*;

fn inverse_rms(row: &[f32], eps: f32) -> f32 {
    let squares: f32 = row.iter().map(|v| v * v).sum();
    1.0 / (squares / row.len() as f32 + eps).sqrt()
}

/// `x`, `y`: `[T, H]`; `weight`: `[H]`.
pub fn forward(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
    let width = weight.len();
    assert!(x.len() == y.len() && x.len().is_multiple_of(width), "rms_norm: shapes");
    y.par_chunks_mut(width).zip(x.par_chunks(width)).for_each(|(y, x)| {
        let r = inverse_rms(x, eps);
        y.iter_mut().zip(x).zip(weight).for_each(|((y, x), w)| *y = w * (x * r));
    });
}

/// Input gradient `[T, H]`: `dx = r (w dy - x r² mean(w dy x))`.
pub fn input_gradient(x: &[f32], weight: &[f32], eps: f32, dy: &[f32], dx: &mut [f32]) {
    let width = weight.len();
    assert!(x.len() == dy.len() && x.len() == dx.len(), "rms_norm: shapes");
    dx.par_chunks_mut(width).zip(x.par_chunks(width)).zip(dy.par_chunks(width)).for_each(|((dx, x), dy)| {
        let r = inverse_rms(x, eps);
        let dot: f32 = x.iter().zip(dy).zip(weight).map(|((x, g), w)| x * g * w).sum();
        let c = r * r * dot / width as f32;
        dx.iter_mut().zip(x).zip(dy).zip(weight).for_each(|(((d, x), g), w)| *d = r * (w * g - x * c));
    });
}

/// Weight gradient `[H]`: sum over tokens of `dy x r`.
pub fn weight_gradient(x: &[f32], eps: f32, dy: &[f32], dw: &mut [f32]) {
    let width = dw.len();
    dw.fill(0.0);
    for (x, dy) in x.chunks_exact(width).zip(dy.chunks_exact(width)) {
        let r = inverse_rms(x, eps);
        dw.iter_mut().zip(x).zip(dy).for_each(|((d, x), g)| *d += g * x * r);
    }
}
