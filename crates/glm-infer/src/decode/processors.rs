//! Changes of a row of logits before a token is drawn, each as transformers 4.30.2 has it. Rows have the vocabulary's
//! length; a token that is ruled out gets minus infinity.

use super::DecodeError;

/// Divides the positive and multiplies the negative logits of the tokens in `context` by `penalty`, each token once
/// however often it occurs (CTRL, Keskar et al., 2019).
///
/// # Errors
/// When an id lies outside the row.
pub fn repetition_penalty(logits: &mut [f32], context: &[u32], penalty: f32) -> Result<(), DecodeError> {
    let vocabulary = logits.len();
    let mut seen = vec![false; vocabulary];
    for &id in context {
        let index = id as usize;
        match seen.get_mut(index) {
            None => return Err(DecodeError::OutsideVocabulary { id, vocabulary }),
            Some(true) => continue,
            Some(seen) => *seen = true,
        }
        let logit = &mut logits[index];
        *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
    }
    Ok(())
}

/// Takes `presence` from the logit of every token in `answer`, and `frequency` for every time that it occurs there, as OpenAI's
/// API reference defines both.
///
/// # Errors
/// When an id lies outside the row.
pub fn answer_penalties(logits: &mut [f32], answer: &[u32], presence: f32, frequency: f32) -> Result<(), DecodeError> {
    let vocabulary = logits.len();
    let mut sorted = answer.to_vec();
    sorted.sort_unstable();
    for same in sorted.chunk_by(|a, b| a == b) {
        let id = same[0];
        let logit = logits.get_mut(id as usize).ok_or(DecodeError::OutsideVocabulary { id, vocabulary })?;
        *logit -= presence + frequency * same.len() as f32;
    }
    Ok(())
}

/// Divides every logit by `temperature`.
pub fn temperature(logits: &mut [f32], temperature: f32) {
    for logit in logits {
        *logit /= temperature;
    }
}

/// Rules out every token below the `k`-th best logit. Tokens equal to it stay, so more than `k` may remain. 0 keeps all.
pub fn top_k(logits: &mut [f32], k: usize) {
    if k == 0 || k >= logits.len() {
        return;
    }
    let mut sorted = logits.to_vec();
    let (_, &mut least, _) = sorted.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    for logit in logits {
        if *logit < least {
            *logit = f32::NEG_INFINITY;
        }
    }
}

/// Rules out, from the least likely token up, those whose cumulative probability is at most `1 - p` (Holtzman et al., 2020).
/// Of equal tokens the lower ids go first. The best token always stays. 1 or more keeps all.
pub fn top_p(logits: &mut [f32], p: f32) {
    if p >= 1.0 {
        return;
    }
    // The bound and the running sum are compared in f32, as torch does.
    let bound = (1.0 - f64::from(p)) as f32;
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: f32| f64::from(logit - best).exp();
    let mut candidates: Vec<(f32, u32)> =
        logits.iter().copied().zip(0..).filter(|(logit, _)| *logit > f32::NEG_INFINITY).collect();
    let weights: Vec<f64> = candidates.iter().map(|(logit, _)| weight(*logit)).collect();
    let total: f64 = weights.iter().sum();
    // Tokens below an equal share of the bound cannot reach it even together: they go without being sorted.
    let certain = f64::from(bound) * total / candidates.len() as f64;
    let mut cumulative = 0.0;
    let mut weights = weights.into_iter();
    candidates.retain(|&(_, id)| {
        let weight = weights.next().unwrap_or(0.0);
        let stays = weight >= certain;
        if !stays {
            cumulative += weight / total;
            logits[id as usize] = f32::NEG_INFINITY;
        }
        stays
    });
    // IEEE order (-0 equals 0), then the id: the order of a stable ascending sort.
    candidates.sort_unstable_by(|a, b| a.partial_cmp(b).expect("the filter above leaves no NaN"));
    let Some((_, rest)) = candidates.split_last() else { return };
    for &(logit, id) in rest {
        cumulative += weight(logit) / total;
        if cumulative as f32 > bound {
            break;
        }
        logits[id as usize] = f32::NEG_INFINITY;
    }
}
