//! Softmax cross entropy over a vocabulary, in `f32` with the maximum taken out.

use super::isa::widest;
use super::{lanes, math};
use rayon::prelude::*;

/// `ln Σ exp(row)`.
pub fn log_sum_exp(row: &[f32]) -> f32 {
    widest(
        #[inline(always)]
        || {
            let max = lanes::max(row);
            max + lanes::sum(row, |v| math::exp(v - max)).ln()
        },
    )
}

/// Loss of each row: `logits [N, V]`, `labels [N]` → `losses [N]`. A NaN in a row gives a NaN loss.
pub fn forward(logits: &[f32], labels: &[u32], losses: &mut [f32]) {
    let vocabulary = logits.len() / labels.len().max(1);
    losses.par_iter_mut().zip(logits.par_chunks(vocabulary.max(1))).zip(labels).for_each(|((loss, row), label)| {
        *loss = log_sum_exp(row) - row[*label as usize];
    });
}

/// `dlogits [N, V] = factor * (softmax(logits) - onehot(labels))`, `factors [N]`.
pub fn input_gradient(logits: &[f32], labels: &[u32], factors: &[f32], dlogits: &mut [f32]) {
    let vocabulary = logits.len() / labels.len().max(1);
    let rows = dlogits.par_chunks_mut(vocabulary.max(1)).zip(logits.par_chunks(vocabulary.max(1))).zip(labels);
    rows.zip(factors).for_each(|(((d, row), label), scale)| {
        let total = log_sum_exp(row);
        widest(
            #[inline(always)]
            || {
                for (d, v) in d.iter_mut().zip(row) {
                    *d = scale * math::exp(v - total);
                }
            },
        );
        d[*label as usize] -= scale;
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_are_those_of_the_formula(
            vocabulary in 1usize..300, rows in 1usize..4, reach in 0.0f32..60.0, offset in -1e3f32..1e3,
        ) {
            let logits: Vec<f32> =
                (0..vocabulary * rows).map(|i| offset + (i as f32 * 0.731).sin() * reach).collect();
            let labels: Vec<u32> = (0..rows).map(|i| (i * 7 % vocabulary) as u32).collect();
            let (mut losses, mut d) = (vec![0.0; rows], vec![0.0; logits.len()]);
            super::forward(&logits, &labels, &mut losses);
            super::input_gradient(&logits, &labels, &vec![3.0; rows], &mut d);
            for (i, row) in logits.chunks(vocabulary).enumerate() {
                let max = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
                let total = max + row.iter().map(|v| (f64::from(*v) - max).exp()).sum::<f64>().ln();
                let label = labels[i] as usize;
                let exact = total - f64::from(row[label]);
                // Total and loss are rounded to f32, whose unit grows with their size.
                let unit = 1e-6 + 2e-7 * (total.abs() + exact.abs());
                prop_assert!((f64::from(losses[i]) - exact).abs() < unit, "{} {exact}", losses[i]);
                for (j, (v, d)) in row.iter().zip(&d[i * vocabulary..]).enumerate() {
                    let exact = 3.0 * ((f64::from(*v) - total).exp() - f64::from(u8::from(j == label)));
                    prop_assert!((f64::from(*d) - exact).abs() < 4.0 * unit, "{j}: {d} {exact}");
                }
            }
        }
    }

    #[test]
    fn not_a_number_in_a_row_shows_in_its_loss_only() {
        let mut logits = vec![0.5; 3 * 70];
        (logits[70], logits[80]) = (f32::NAN, f32::INFINITY);
        let mut losses = [0.0; 3];
        super::forward(&logits, &[3, 3, 3], &mut losses);
        assert!(losses[1].is_nan() && losses[0].is_finite() && losses[2].is_finite(), "{losses:?}");
        assert!((losses[0] - 70f32.ln()).abs() < 1e-6);
    }
}
