//! The reference: one row at a time, sums in `f64`.

use super::Matrix;

/// Twin of [`super::matmul`].
pub fn matmul(matrix: &Matrix<'_>, x: &[f32], y: &mut [f32]) {
    let (out, inner) = (matrix.rows, matrix.cols);
    let mut row = vec![0.0; inner];
    for r in 0..out {
        matrix.row(r, &mut row);
        for (token, x) in x.chunks_exact(inner).enumerate() {
            let sum: f64 = x.iter().zip(&row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            y[token * out + r] = sum as f32;
        }
    }
}

/// Twin of [`super::input_gradient`].
pub fn input_gradient(matrix: &Matrix<'_>, dy: &[f32], dx: &mut [f32]) {
    let (out, inner) = (matrix.rows, matrix.cols);
    let mut row = vec![0.0; inner];
    let mut sums = vec![0.0f64; dx.len()];
    for r in 0..out {
        matrix.row(r, &mut row);
        for (token, sums) in sums.chunks_exact_mut(inner).enumerate() {
            let g = f64::from(dy[token * out + r]);
            sums.iter_mut().zip(&row).for_each(|(s, w)| *s += g * f64::from(*w));
        }
    }
    dx.iter_mut().zip(&sums).for_each(|(d, s)| *d = *s as f32);
}
