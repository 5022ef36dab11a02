//! GELU in its tanh form: `y = x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))` (Hendrycks & Gimpel 2016, section 2).

use rayon::prelude::*;

/// √(2/π).
const ROOT: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;
/// Values that one task works on.
const CHUNK: usize = 1 << 12;

fn inner(x: f32) -> f32 {
    (ROOT * x * (1.0 + CUBIC * x * x)).tanh()
}

/// `x`, `y`: any equal lengths.
pub fn forward(x: &[f32], y: &mut [f32]) {
    assert!(x.len() == y.len(), "gelu: shapes");
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = 0.5 * x * (1.0 + inner(*x)));
    });
}

/// Input gradient: `dx = dy (1/2 (1 + t) + x/2 (1 - t²) √(2/π) (1 + 3 · 0.044715 x²))` with `t` the tanh.
pub fn input_gradient(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert!(x.len() == dy.len() && x.len() == dx.len(), "gelu: shapes");
    dx.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).zip(dy.par_chunks(CHUNK)).for_each(|((dx, x), dy)| {
        dx.iter_mut().zip(x).zip(dy).for_each(|((d, x), g)| {
            let t = inner(*x);
            let slope = ROOT * (1.0 + 3.0 * CUBIC * x * x);
            *d = g * 0.5 * (1.0 + t + x * (1.0 - t * t) * slope);
        });
    });
}

#[cfg(test)]
mod tests {
    /// Against the formula in `f64`, far outside the middle too.
    #[test]
    fn values_are_those_of_the_formula() {
        let x: Vec<f32> = (-400..=400).map(|i| i as f32 * 0.1).collect();
        let mut y = vec![0.0; x.len()];
        super::forward(&x, &mut y);
        for (x, y) in x.iter().zip(y) {
            let x = f64::from(*x);
            let t = ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh();
            assert!((f64::from(y) - 0.5 * x * (1.0 + t)).abs() < 1e-6 * (1.0 + x.abs()), "{x}: {y}");
        }
    }
}
