//! BLEU-4 on characters as nltk's `sentence_bleu` with smoothing method 3 computes it (Chen and Cherry, 2014).

use std::collections::HashMap;

/// Longest n-gram counted.
const ORDER: usize = 4;

/// BLEU-4 (0 to 1) of a prediction against one reference, both taken as lists of code points, blanks included.
///
/// The k-th n-gram length without a match has precision `1 / (2^k * n-grams)` instead of 0. No common character: 0.
pub fn bleu_4(prediction: &str, reference: &str) -> f64 {
    let prediction: Vec<char> = prediction.chars().collect();
    let reference: Vec<char> = reference.chars().collect();
    let mut zeros = 0;
    let mut log_precisions = 0.0;
    for n in 1..=ORDER {
        let (matches, total) = clipped_matches(&prediction, &reference, n);
        let precision = if matches > 0 {
            matches as f64 / total as f64
        } else if n == 1 {
            return 0.0;
        } else {
            zeros += 1;
            1.0 / (f64::from(1u32 << zeros) * total as f64)
        };
        log_precisions += precision.ln() / ORDER as f64;
    }
    brevity_penalty(prediction.len(), reference.len()) * log_precisions.exp()
}

/// n-grams of the prediction that the reference holds, each counted at most as often as there, and their number (at least 1).
fn clipped_matches(prediction: &[char], reference: &[char], n: usize) -> (usize, usize) {
    let mut available: HashMap<&[char], usize> = HashMap::new();
    for gram in reference.windows(n) {
        *available.entry(gram).or_default() += 1;
    }
    let mut matches = 0;
    for gram in prediction.windows(n) {
        if let Some(left) = available.get_mut(gram).filter(|left| **left > 0) {
            *left -= 1;
            matches += 1;
        }
    }
    (matches, prediction.windows(n).len().max(1))
}

fn brevity_penalty(prediction: usize, reference: usize) -> f64 {
    if prediction > reference { 1.0 } else { (1.0 - reference as f64 / prediction as f64).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_follow_the_smoothing_rule() {
        // nltk: sentence_bleu([list(reference)], list(prediction), smoothing_function=SmoothingFunction().method3)
        let close = |prediction, reference, expected: f64| {
            let found = bleu_4(prediction, reference);
            assert!((found - expected).abs() < 1e-12, "{prediction} {reference}: {found}");
        };
        close("天气很好", "天气很好", 1.0);
        close("好", "好", 0.3535533905932738); // (1/2 * 1/4 * 1/8)^(1/4)
        close("好", "好人", 0.3535533905932738 * (-1.0f64).exp());
        close("好", "坏", 0.0);
        close("", "", 0.0);
        close("的的的的", "的", (1.0 / 4.0 * 1.0 / (2.0 * 3.0) * 1.0 / (4.0 * 2.0) * 1.0 / 8.0f64).powf(0.25));
    }
}
