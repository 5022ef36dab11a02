//! Choosing the next token: repetition penalty, temperature, top-k and top-p in transformers' order, then a draw or the best;
//! beam search; and what ends an answer besides an end token.
//!
//! Choosing works on one row of logits as long as the vocabulary. A logit that is not finite is an error that names where
//! it arose; no token is ever put in its place.

mod beam;
mod processors;
mod repetition;
mod sample;
mod stop;

pub use beam::{Candidate, Hypotheses, beam_scores, best_candidates, draw_candidates, warp_scores};
pub use processors::{answer_penalties, repetition_penalty, temperature, top_k, top_p};
pub use repetition::RepetitionRule;
pub use sample::{argmax, log_softmax, sample, softmax};
pub use stop::{certain_len, find_stop};

use crate::GenerationConfig;

/// Where a logit ceased to be a finite number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// In what the network put out.
    Network,
    /// After the repetition penalty.
    RepetitionPenalty,
    /// After the presence and frequency penalties.
    AnswerPenalties,
    /// After the division by the temperature.
    Temperature,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Network => "in the network's output (check the adapter and the base for NaN)",
            Self::RepetitionPenalty => "after repetition_penalty (set it nearer to 1)",
            Self::AnswerPenalties => "after presence_penalty and frequency_penalty (set them nearer to 0)",
            Self::Temperature => "after temperature (raise it, or turn do_sample off for the best token)",
        })
    }
}

/// No token can be chosen.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// A logit is NaN or infinite.
    #[error("{count} of {vocabulary} logits are not finite {stage}; the first is {value} at token {token}")]
    NotFinite {
        /// Where it arose.
        stage: Stage,
        /// First token concerned.
        token: u32,
        /// Its logit.
        value: f32,
        /// How many logits are not finite.
        count: usize,
        /// Length of the row.
        vocabulary: usize,
    },
    /// A row without logits.
    #[error("the row of logits is empty; expected one logit per token of the vocabulary")]
    NoLogits,
    /// A context id that the row has no logit for.
    #[error("context id {id} lies outside the vocabulary of {vocabulary} tokens")]
    OutsideVocabulary {
        /// The id.
        id: u32,
        /// Length of the row.
        vocabulary: usize,
    },
    /// A setting that no distribution follows from.
    #[error("{name} is {value}; expected {expected}")]
    Setting {
        /// Name in [`GenerationConfig`].
        name: &'static str,
        /// Its value.
        value: f32,
        /// What it may be.
        expected: &'static str,
    },
    /// More answers asked for than beam search keeps.
    #[error(
        "num_return_sequences is {asked} with num_beams {beams}; expected 1 to num_beams (raise num_beams, or ask for the \
         prompt several times to sample several answers)"
    )]
    Sequences {
        /// Answers asked for.
        asked: usize,
        /// Beams.
        beams: usize,
    },
    /// A stop string that every answer begins with.
    #[error("stop string {index} (counted from 1) is empty; expected a text, or leave it out")]
    EmptyStop {
        /// Its place in the list, counted from 1.
        index: usize,
    },
    /// Any of the others, with the place in the answer.
    #[error("at token {step} of the answer: {source}")]
    AtStep {
        /// Token of the answer, counted from 1.
        step: usize,
        /// What went wrong.
        source: Box<DecodeError>,
    },
}

/// Refuses settings that no distribution follows from, so that a run fails before its first token.
///
/// # Errors
/// Names the first bad setting.
pub fn check(config: &GenerationConfig) -> Result<(), DecodeError> {
    let positive = |value: f32| value > 0.0 && value.is_finite();
    let verdict = |good, name, value, expected| {
        if good { Ok(()) } else { Err(DecodeError::Setting { name, value, expected }) }
    };
    let penalty = config.repetition_penalty;
    verdict(positive(penalty), "repetition_penalty", penalty, "a number above 0 (1 changes nothing)")?;
    for (name, value) in
        [("presence_penalty", config.presence_penalty), ("frequency_penalty", config.frequency_penalty)]
    {
        verdict(value.is_finite(), name, value, "a number (0 changes nothing)")?;
        verdict(value == 0.0 || config.num_beams <= 1, name, value, "0 with beams, which it does not go with")?;
    }
    let beams = config.num_beams;
    verdict(beams > 0, "num_beams", beams as f32, "1 (no beam search) or more")?;
    let exponent = config.length_penalty;
    verdict(exponent.is_finite(), "length_penalty", exponent as f32, "a number (1 divides by the length)")?;
    if !(1..=beams).contains(&config.num_return_sequences) {
        return Err(DecodeError::Sequences { asked: config.num_return_sequences, beams });
    }
    if let Some(empty) = config.stop.iter().position(String::is_empty) {
        return Err(DecodeError::EmptyStop { index: empty + 1 });
    }
    config.repetition.map_or(Ok(()), |rule| rule.check())?;
    if !config.do_sample {
        return Ok(());
    }
    let heat = config.temperature;
    verdict(positive(heat), "temperature", heat, "a number above 0 (turn do_sample off for the best token)")?;
    let p = config.top_p;
    verdict((0.0..=1.0).contains(&p), "top_p", p, "a number from 0 (only the best token) to 1 (all)")
}

/// Tokens that may come next with their probabilities, by rising id. `logits` has the vocabulary's length; `context_ids` is
/// all that the row holds so far, prompt and pads included, of which the last `answered` belong to the answer. `do_sample` is
/// not looked at.
///
/// # Errors
/// When a logit is not finite, an id lies outside the row, or a setting is bad.
pub fn distribution(
    logits: &[f32],
    context_ids: &[u32],
    answered: usize,
    config: &GenerationConfig,
) -> Result<Vec<(u32, f32)>, DecodeError> {
    check(&GenerationConfig { do_sample: true, ..config.clone() })?;
    let mut row = penalised(logits, context_ids, answered, config)?;
    if config.temperature != 1.0 {
        temperature(&mut row, config.temperature);
        finite(&row, Stage::Temperature)?;
    }
    top_k(&mut row, config.top_k);
    top_p(&mut row, config.top_p);
    let (ids, kept): (Vec<u32>, Vec<f32>) = (0..).zip(row).filter(|(_, logit)| *logit > f32::NEG_INFINITY).unzip();
    Ok(ids.into_iter().zip(softmax(&kept)).collect())
}

/// The next token of one row: drawn with `draw` (64 uniform random bits a call) when `do_sample` is set, else the best one
/// after the penalties. `step` is the place in the answer, counted from 1; so the last `step - 1` of `context_ids` belong to it.
///
/// # Errors
/// As [`distribution`], within [`DecodeError::AtStep`].
pub fn next_token(
    logits: &[f32],
    context_ids: &[u32],
    config: &GenerationConfig,
    step: usize,
    draw: &mut impl FnMut() -> u64,
) -> Result<u32, DecodeError> {
    let answered = step.saturating_sub(1);
    let chosen = if config.do_sample {
        distribution(logits, context_ids, answered, config).map(|probabilities| sample(&probabilities, draw))
    } else {
        check(config)
            .and_then(|()| penalised(logits, context_ids, answered, config))
            .map(|row| argmax(&row).map(|id| id as u32))
    };
    chosen
        .and_then(|id| id.ok_or(DecodeError::NoLogits))
        .map_err(|source| DecodeError::AtStep { step, source: Box::new(source) })
}

/// A checked copy of the row with the penalties.
fn penalised(
    logits: &[f32],
    context_ids: &[u32],
    answered: usize,
    config: &GenerationConfig,
) -> Result<Vec<f32>, DecodeError> {
    if logits.is_empty() {
        return Err(DecodeError::NoLogits);
    }
    finite(logits, Stage::Network)?;
    let mut row = logits.to_vec();
    if config.repetition_penalty != 1.0 {
        repetition_penalty(&mut row, context_ids, config.repetition_penalty)?;
        finite(&row, Stage::RepetitionPenalty)?;
    }
    if config.presence_penalty != 0.0 || config.frequency_penalty != 0.0 {
        let answer = &context_ids[context_ids.len().saturating_sub(answered)..];
        answer_penalties(&mut row, answer, config.presence_penalty, config.frequency_penalty)?;
        finite(&row, Stage::AnswerPenalties)?;
    }
    Ok(row)
}

fn finite(row: &[f32], stage: Stage) -> Result<(), DecodeError> {
    let mut bad = (0..).zip(row).filter(|(_, logit)| !logit.is_finite());
    match bad.next() {
        None => Ok(()),
        Some((token, &value)) => {
            Err(DecodeError::NotFinite { stage, token, value, count: 1 + bad.count(), vocabulary: row.len() })
        }
    }
}
