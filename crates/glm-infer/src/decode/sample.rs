//! From logits to one token.

/// Probabilities of a row of logits; tokens at minus infinity get 0. A row without any other value gives zeros.
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if best == f32::NEG_INFINITY {
        return vec![0.0; logits.len()];
    }
    let weights: Vec<f64> = logits.iter().map(|logit| f64::from(logit - best).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| (weight / total) as f32).collect()
}

/// Logarithms of the probabilities of a row of finite logits.
pub fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits.iter().map(|logit| f64::from(logit - best).exp()).sum();
    let log_total = total.ln() as f32;
    logits.iter().map(|logit| logit - best - log_total).collect()
}

/// Index of the greatest logit, the first of equals (torch on CPU); NaN is passed over. `None` for a row without numbers.
pub fn argmax(logits: &[f32]) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (index, &logit) in logits.iter().enumerate() {
        if !logit.is_nan() && best.is_none_or(|(_, value)| logit > value) {
            best = Some((index, logit));
        }
    }
    best.map(|(index, _)| index)
}

/// Draws a token: `draw` gives 64 uniform random bits and is called once. Probabilities need not sum to 1 exactly; a token
/// of probability 0 is never drawn. `None` when no probability is positive.
pub fn sample(probabilities: &[(u32, f32)], draw: &mut impl FnMut() -> u64) -> Option<u32> {
    /// Steps of a double in [0, 1).
    const STEPS: f64 = (1u64 << 53) as f64;
    let total: f64 = probabilities.iter().map(|(_, p)| f64::from(*p)).sum();
    let target = (draw() >> 11) as f64 / STEPS * total;
    let mut cumulative = 0.0;
    let mut last = None;
    for &(id, probability) in probabilities.iter().filter(|(_, p)| *p > 0.0) {
        cumulative += f64::from(probability);
        last = Some(id);
        if target < cumulative {
            break;
        }
    }
    last
}
