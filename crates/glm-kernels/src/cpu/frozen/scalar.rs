//! The reference: one row at a time, sums in `f64`.

use super::Blocks;

fn scaled_row(weight: &dyn Blocks, row: usize, out: &mut [f32]) {
    let (_, inner) = weight.shape();
    weight.unpack(row..row + 1, 0..inner, out);
    if let Some(scales) = weight.row_scales() {
        out.iter_mut().for_each(|v| *v *= scales[row]);
    }
}

/// Twin of [`super::matmul`].
pub fn matmul(weight: &dyn Blocks, x: &[f32], y: &mut [f32]) {
    let (out, inner) = weight.shape();
    let mut row = vec![0.0; inner];
    for r in 0..out {
        scaled_row(weight, r, &mut row);
        for (token, x) in x.chunks_exact(inner).enumerate() {
            let sum: f64 = x.iter().zip(&row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            y[token * out + r] = sum as f32;
        }
    }
}

/// Twin of [`super::input_gradient`].
pub fn input_gradient(weight: &dyn Blocks, dy: &[f32], dx: &mut [f32]) {
    let (out, inner) = weight.shape();
    let mut row = vec![0.0; inner];
    let mut sums = vec![0.0f64; dx.len()];
    for r in 0..out {
        scaled_row(weight, r, &mut row);
        for (token, sums) in sums.chunks_exact_mut(inner).enumerate() {
            let g = f64::from(dy[token * out + r]);
            sums.iter_mut().zip(&row).for_each(|(s, w)| *s += g * f64::from(*w));
        }
    }
    dx.iter_mut().zip(&sums).for_each(|(d, s)| *d = *s as f32);
}
