//! Output layer and softmax cross entropy in one, some rows of the vocabulary at a time: `[T, vocabulary]` never exists, and
//! the rows of the layer that the logits have just been made with are still in a cache when the gradient needs them.
//!
//! The exponentials are summed relative to the largest logit so far; a larger one scales down what has been summed (as in
//! Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018), the gradient's sum included. With `l` the
//! logits, `S = Σ exp(l_v)` over all words but the label `y` and `Z = S + exp(l_y)`:
//! `loss = ln Z - l_y`, `dloss/dx = Σ_{v ≠ y} exp(l_v) / Z · W_v - S / Z · W_y`. The label's own term is kept apart since its
//! factor, the probability less 1, would be lost in rounding where the probability is near 1.

use super::frozen::{Compute, Matrix, add_input_gradient, matmul};
use super::isa::widest;
use super::{lanes, math};
use rayon::prelude::*;

/// Words of the vocabulary that are taken at a time; a multiple of 32, so that no part begins among interleaved rows.
const WORDS: usize = 2048;

/// Sums of one row over the words so far.
#[derive(Clone, Copy)]
struct Sums {
    /// Largest logit.
    max: f32,
    /// `Σ exp(l_v - max)` over all words but the label.
    others: f64,
    /// Logit of the label.
    label: f32,
}

impl Sums {
    /// `exp(l_y - max)`.
    fn of_label(&self) -> f64 {
        (f64::from(self.label) - f64::from(self.max)).exp()
    }

    fn loss(&self) -> f32 {
        let of_label = self.of_label();
        // Where the label is the largest the sum is 1 and a little, which a logarithm of the sum would lose.
        let log = if of_label == 1.0 { self.others.ln_1p() } else { (self.others + of_label).ln() };
        (f64::from(self.max) - f64::from(self.label) + log) as f32
    }
}

/// Bytes that [`losses`] needs beside its arguments for `tokens` rows of `hidden` values.
pub fn scratch_bytes(tokens: usize, hidden: usize) -> usize {
    tokens * (WORDS + hidden) * size_of::<f32>()
}

/// `x [T, cols]`, a layer `W [vocabulary, cols]`, `labels [T]` → the loss of every row, `[T]`. With `gradient`, factors
/// `[T]` and `dx [T, cols]`: also `dx = factor · dloss/dx`. A NaN in a row gives a NaN loss.
///
/// # Panics
/// When lengths do not fit or a label is outside the vocabulary.
pub fn losses(
    matrix: &Matrix<'_>,
    compute: Compute,
    x: &[f32],
    labels: &[u32],
    losses: &mut [f32],
    gradient: Option<(&[f32], &mut [f32])>,
) {
    let (tokens, vocabulary, hidden) = (labels.len(), matrix.rows, matrix.cols);
    assert!(x.len() == tokens * hidden && losses.len() == tokens, "output loss: not {tokens} rows");
    assert!(labels.iter().all(|label| (*label as usize) < vocabulary), "output loss: a label is not in the vocabulary");
    let (factors, mut dx) = gradient.unzip();
    if let (Some(factors), Some(dx)) = (factors, &mut dx) {
        assert!(factors.len() == tokens && dx.len() == x.len(), "output loss: the gradient is not {tokens} rows");
        dx.fill(0.0);
    }
    let mut sums = vec![Sums { max: f32::NEG_INFINITY, others: 0.0, label: f32::NAN }; tokens];
    let mut shrinks = vec![1.0; tokens];
    let mut logits = vec![0.0; tokens * WORDS.min(vocabulary)];
    for first in (0..vocabulary).step_by(WORDS) {
        let words = first..(first + WORDS).min(vocabulary);
        let part = matrix.slice(words.clone());
        let logits = &mut logits[..tokens * words.len()];
        matmul(&part, compute, x, None, logits);
        let rows = logits.par_chunks_mut(words.len()).zip(&mut sums).zip(&mut shrinks).zip(labels);
        rows.for_each(|(((logits, sums), shrink), label)| {
            let label = (*label as usize).checked_sub(first).filter(|label| *label < words.len());
            *shrink = exponentials(logits, label, sums);
        });
        if let Some(dx) = &mut dx {
            let rows = dx.par_chunks_mut(hidden).zip(&shrinks).filter(|(_, shrink)| **shrink != 1.0);
            rows.for_each(|(dx, shrink)| dx.iter_mut().for_each(|v| *v *= shrink));
            add_input_gradient(&part, compute.for_probabilities(), logits, dx);
        }
    }
    losses.iter_mut().zip(&sums).for_each(|(loss, sums)| *loss = sums.loss());
    if let (Some(factors), Some(dx)) = (factors, dx) {
        let rows = dx.par_chunks_mut(hidden).zip(&sums).zip(labels).zip(factors);
        rows.for_each_init(
            || vec![0.0; hidden],
            |of_label, (((dx, sums), label), factor)| {
                matrix.row(*label as usize, of_label);
                let scale = f64::from(*factor) / (sums.others + sums.of_label());
                let (scale, label_scale) = (scale as f32, (scale * sums.others) as f32);
                dx.iter_mut().zip(of_label).for_each(|(v, w)| *v = scale * *v - label_scale * *w);
            },
        );
    }
}

/// Turns the logits of some words into `exp(l - max)`, 0 for the label, and takes them into the sums. Returns the factor
/// that brings what was summed before to the new maximum.
fn exponentials(logits: &mut [f32], label: Option<usize>, sums: &mut Sums) -> f32 {
    widest(
        #[inline(always)]
        || {
            let max = lanes::max(logits).max(sums.max);
            if let Some(label) = label {
                sums.label = logits[label];
            }
            for v in logits.iter_mut() {
                *v = math::exp(*v - max);
            }
            if let Some(label) = label {
                // A NaN there shows in the label's own logit.
                logits[label] = 0.0;
            }
            let shrink = if sums.max == max { 1.0 } else { math::exp(sums.max - max) };
            sums.others = sums.others * f64::from(shrink) + f64::from(lanes::sum(logits, |v| v));
            sums.max = max;
            shrink
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::frozen::Values;
    use proptest::prelude::*;

    fn wave(n: usize, phase: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * 0.37 + phase).sin()).collect()
    }

    fn bytes(values: &[f32]) -> Vec<[u8; 4]> {
        values.iter().map(|v| v.to_le_bytes()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn values_are_those_of_the_formula(
            // Vocabularies below, at and above one and two parts.
            vocabulary in prop_oneof![1usize..80, 2040usize..2060, 4090usize..4100],
            tokens in 1usize..12, hidden in 1usize..20, reach in 0.1f32..40.0, rise in -0.02f32..0.02,
        ) {
            // Logits that rise or fall with the word, so that the maximum moves from part to part.
            let weights: Vec<f32> = wave(vocabulary * hidden, 0.1)
                .iter().enumerate().map(|(i, v)| v + rise * (i / hidden) as f32 / hidden as f32).collect();
            let x: Vec<f32> = wave(tokens * hidden, 0.7).iter().map(|v| v * reach).collect();
            let labels: Vec<u32> = (0..tokens).map(|i| (i * 977 % vocabulary) as u32).collect();
            let factors: Vec<f32> = (0..tokens).map(|i| 0.25 + i as f32).collect();
            let (mut found, mut dx) = (vec![0.0; tokens], vec![f32::NAN; x.len()]);
            let (values, mut alone) = (bytes(&weights), found.clone());
            let matrix = Matrix { rows: vocabulary, cols: hidden, values: Values::F32(&values), row_scales: None };
            losses(&matrix, Compute::F32, &x, &labels, &mut found, Some((&factors, &mut dx)));
            losses(&matrix, Compute::F32, &x, &labels, &mut alone, None);
            prop_assert_eq!(&alone, &found);
            for t in 0..tokens {
                let row = &x[t * hidden..][..hidden];
                let words = || weights.chunks(hidden);
                let logits: Vec<f64> =
                    words().map(|w| w.iter().zip(row).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum()).collect();
                let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let total = max + logits.iter().map(|l| (l - max).exp()).sum::<f64>().ln();
                let label = labels[t] as usize;
                let size: f64 = row.iter().map(|v| f64::from(v.abs())).sum::<f64>() + 1.0;
                prop_assert!((f64::from(found[t]) - (total - logits[label])).abs() < 1e-5 * size, "{}", found[t]);
                for c in 0..hidden {
                    let of = |(v, w): (usize, &[f32])| {
                        ((logits[v] - total).exp() - f64::from(u8::from(v == label))) * f64::from(w[c])
                    };
                    let exact = f64::from(factors[t]) * words().enumerate().map(of).sum::<f64>();
                    let found = f64::from(dx[t * hidden + c]);
                    prop_assert!((found - exact).abs() < 1e-5 * size * f64::from(factors[t]), "{found} {exact}");
                }
            }
        }
    }

    #[test]
    fn a_label_that_is_nearly_certain_keeps_its_gradient() {
        // Two words, logits 40 and 0: the loss is e^-40, far below what 1 + e^-40 can tell from 1 in any float.
        let values = bytes(&[1.0, 0.0]);
        let matrix = Matrix { rows: 2, cols: 1, values: Values::F32(&values), row_scales: None };
        let (mut loss, mut dx) = ([0.0], [0.0]);
        losses(&matrix, Compute::F32, &[40.0], &[0], &mut loss, Some((&[1.0], &mut dx)));
        let exact = (-40f64).exp() as f32;
        assert!((loss[0] / exact - 1.0).abs() < 1e-5 && (dx[0] / -exact - 1.0).abs() < 1e-5, "{loss:?} {dx:?}");
    }

    #[test]
    fn not_a_number_shows_in_its_loss_only() {
        // A word of the second part whose logit overflows in one row, and no row's label.
        let mut weights = wave(3000, 0.2);
        weights[2500] = 1e30;
        let values = bytes(&weights);
        let matrix = Matrix { rows: 3000, cols: 1, values: Values::F32(&values), row_scales: None };
        let (mut found, mut dx) = ([0.0; 3], [0.0; 3]);
        let x = [1e-30, 1e30, f32::NAN];
        losses(&matrix, Compute::F32, &x, &[5; 3], &mut found, Some((&[1.0; 3], &mut dx)));
        assert!(found[0].is_finite() && dx[0].is_finite(), "{found:?} {dx:?}");
        assert!(found[1..].iter().chain(&dx[1..]).all(|v| v.is_nan()), "{found:?} {dx:?}");
    }

    #[test]
    fn words_that_are_unlikely_together_outweigh_none_in_any_numbers() {
        // 510 words of probability 0.13 % each, which 8 bits would round to 0 beside one of 35 %.
        let weights: Vec<f32> = [[-20.0, 0.0], [0.0, 1.0]].into_iter().chain([[-5.6, 1.0]; 510]).flatten().collect();
        let values = bytes(&weights);
        let matrix = Matrix { rows: 512, cols: 2, values: Values::F32(&values), row_scales: None };
        for compute in [Compute::F32, Compute::Bf16, Compute::Bf16Split, Compute::Int8] {
            let (mut found, mut dx) = ([0.0; 9], [0.0; 18]);
            losses(&matrix, compute, &[1.0, 0.0].repeat(9), &[0; 9], &mut found, Some((&[1.0; 9], &mut dx)));
            for row in dx.chunks(2) {
                assert!((row[1] - 1.0).abs() < 0.02, "{compute:?}: {dx:?}");
            }
        }
    }
}
