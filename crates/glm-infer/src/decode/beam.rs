//! The steps of beam search on log probabilities, as transformers 4.30.2 takes them.

use super::processors::{repetition_penalty, temperature, top_k, top_p};
use super::sample::{log_softmax, softmax};
use super::{DecodeError, Stage, finite};
use crate::GenerationConfig;

/// A beam with one more token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Which of the beams.
    pub beam: usize,
    /// The token.
    pub token: u32,
    /// Log probability of all tokens of the answer together; where tokens are drawn, as the sampling steps left it.
    pub score: f32,
}

/// Scores of all tokens as the next one of a beam whose own score is `score`: the log probabilities of `logits`, with the
/// repetition penalty of `context_ids` (which multiplies them, being negative), plus `score`.
///
/// # Errors
/// When a logit is not finite or an id lies outside the row.
pub fn beam_scores(
    logits: &[f32],
    context_ids: &[u32],
    score: f32,
    config: &GenerationConfig,
) -> Result<Vec<f32>, DecodeError> {
    if logits.is_empty() {
        return Err(DecodeError::NoLogits);
    }
    finite(logits, Stage::Network)?;
    let mut row = log_softmax(logits);
    if config.repetition_penalty != 1.0 {
        repetition_penalty(&mut row, context_ids, config.repetition_penalty)?;
    }
    row.iter_mut().for_each(|value| *value += score);
    Ok(row)
}

/// Temperature, top-k and top-p on the scores of one beam, for drawing. Unlike in plain sampling, at least `least` tokens
/// stay, so that enough can be drawn.
///
/// # Errors
/// When a score is not finite after the temperature.
pub fn warp_scores(row: &mut [f32], least: usize, config: &GenerationConfig) -> Result<(), DecodeError> {
    if config.temperature != 1.0 {
        temperature(row, config.temperature);
        finite(row, Stage::Temperature)?;
    }
    let kept = best_of(row.iter().zip(0..).map(|(score, token)| Candidate { beam: 0, token, score: *score }), least);
    if config.top_k > 0 {
        top_k(row, config.top_k.max(least));
    }
    top_p(row, config.top_p);
    kept.iter().for_each(|best| row[best.token as usize] = best.score);
    Ok(())
}

/// The `count` best candidates of all beams, best first; of equal ones, those of earlier beams and lower tokens. `rows[b]`
/// holds the scores of beam `b`. Ruled out tokens are none.
pub fn best_candidates(rows: &[Vec<f32>], count: usize) -> Vec<Candidate> {
    best_of(all(rows), count)
}

/// `count` candidates of all beams, fewer where there are fewer, drawn one after the other without replacement by their
/// probabilities, in the order drawn. `draw` gives 64 uniform random bits and is called once a candidate.
pub fn draw_candidates(rows: &[Vec<f32>], count: usize, draw: &mut impl FnMut() -> u64) -> Vec<Candidate> {
    let possible: Vec<Candidate> = all(rows).filter(|c| c.score > f32::NEG_INFINITY).collect();
    let scores: Vec<f32> = possible.iter().map(|c| c.score).collect();
    let mut probabilities: Vec<(u32, f32)> = (0..).zip(softmax(&scores)).collect();
    let mut drawn = Vec::new();
    while drawn.len() < count {
        let Some(place) = super::sample(&probabilities, draw) else { break };
        probabilities[place as usize].1 = 0.0;
        drawn.push(possible[place as usize]);
    }
    drawn
}

fn all(rows: &[Vec<f32>]) -> impl Iterator<Item = Candidate> {
    rows.iter()
        .enumerate()
        .flat_map(|(beam, row)| row.iter().zip(0..).map(move |(score, token)| Candidate { beam, token, score: *score }))
}

/// The best `count` in order. Of equal ones the earlier stay before the later.
fn best_of(candidates: impl Iterator<Item = Candidate>, count: usize) -> Vec<Candidate> {
    let mut best: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        let full = best.len() == count;
        let score = candidate.score;
        if score == f32::NEG_INFINITY || full && best.last().is_none_or(|worst| score <= worst.score) {
            continue;
        }
        if full {
            best.pop();
        }
        best.insert(best.partition_point(|other| other.score >= score), candidate);
    }
    best
}

/// The complete answers of one prompt: the best few, ranked by log probability over length to the power of the penalty.
#[derive(Debug, Clone)]
pub struct Hypotheses<T> {
    most: usize,
    length_penalty: f64,
    early_stopping: bool,
    kept: Vec<(f64, T)>,
}

impl<T> Hypotheses<T> {
    /// None yet.
    pub fn new(config: &GenerationConfig) -> Self {
        let GenerationConfig { num_beams, length_penalty, early_stopping, .. } = *config;
        Self { most: num_beams, length_penalty, early_stopping, kept: Vec::new() }
    }

    /// Takes an answer, if it is among the best. `length` counts prompt, padding and answer without its end token.
    pub fn add(&mut self, answer: T, log_probability: f32, length: usize) {
        let score = self.rank(log_probability, length);
        if self.kept.len() < self.most {
            self.kept.push((score, answer));
        } else if let Some(worst) = self.worst()
            && score > self.kept[worst].0
        {
            self.kept.push((score, answer));
            self.kept.remove(worst);
        }
    }

    /// Whether no beam can do better any more, as far as the rule sees: enough answers are kept and (unless the search
    /// stops early) none ranks below a beam of log probability `best` and `length`.
    pub fn is_done(&self, best: f32, length: usize) -> bool {
        let full = self.kept.len() >= self.most;
        full && (self.early_stopping || self.worst().is_some_and(|worst| self.kept[worst].0 >= self.rank(best, length)))
    }

    /// The answers with their ranks, best first; of equal ones the last that came.
    pub fn into_best(mut self) -> Vec<(f64, T)> {
        self.kept.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.kept.reverse();
        self.kept
    }

    fn rank(&self, log_probability: f32, length: usize) -> f64 {
        f64::from(log_probability) / (length as f64).powf(self.length_penalty)
    }

    /// Place of the lowest rank, the first of equals.
    fn worst(&self) -> Option<usize> {
        (0..self.kept.len()).min_by(|a, b| self.kept[*a].0.total_cmp(&self.kept[*b].0))
    }
}
