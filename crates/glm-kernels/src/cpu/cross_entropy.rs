//! Softmax cross entropy over a vocabulary, in `f32` with the maximum taken out.

use rayon::prelude::*;

/// `ln Σ exp(row)`.
pub fn log_sum_exp(row: &[f32]) -> f32 {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    max + row.iter().map(|v| (v - max).exp()).sum::<f32>().ln()
}

/// Loss of each row: `logits [N, V]`, `labels [N]` → `losses [N]`. A NaN in a row gives a NaN loss.
pub fn forward(logits: &[f32], labels: &[u32], losses: &mut [f32]) {
    let vocabulary = logits.len() / labels.len().max(1);
    losses.par_iter_mut().zip(logits.par_chunks(vocabulary.max(1))).zip(labels).for_each(|((loss, row), label)| {
        *loss = log_sum_exp(row) - row[*label as usize];
    });
}

/// `dlogits [N, V] = scale * (softmax(logits) - onehot(labels))`.
pub fn input_gradient(logits: &[f32], labels: &[u32], scale: f32, dlogits: &mut [f32]) {
    let vocabulary = logits.len() / labels.len().max(1);
    let rows = dlogits.par_chunks_mut(vocabulary.max(1)).zip(logits.par_chunks(vocabulary.max(1))).zip(labels);
    rows.for_each(|((d, row), label)| {
        let total = log_sum_exp(row);
        d.iter_mut().zip(row).for_each(|(d, v)| *d = scale * (v - total).exp());
        d[*label as usize] -= scale;
    });
}
