//! How answers are generated.

use crate::decode::RepetitionRule;
use serde::{Deserialize, Serialize};

/// Decoding settings, named as in transformers' `generate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GenerationConfig {
    /// Draw from the distribution; off: take the best token.
    pub do_sample: bool,
    /// Logits are divided by it before sampling.
    pub temperature: f32,
    /// Keep the best `k` tokens (ties included); 0: all. The library's default of 50 applies unless set.
    pub top_k: usize,
    /// Keep the smallest set of best tokens whose probability exceeds it.
    pub top_p: f32,
    /// Above 1: makes tokens that the row already holds less likely.
    pub repetition_penalty: f32,
    /// Taken from the logits of tokens that the answer holds already, whatever the prompt holds (OpenAI's API); without beams.
    pub presence_penalty: f32,
    /// Taken from the logit of a token once for every time that the answer holds it (OpenAI's API); without beams.
    pub frequency_penalty: f32,
    /// Beams of beam search; 1: none. With `do_sample` tokens are drawn for them (transformers' beam sampling, in which
    /// several beams may hold the same tokens).
    pub num_beams: usize,
    /// Answers that beam search returns for a prompt, at most `num_beams`.
    pub num_return_sequences: usize,
    /// Exponent of the length by which beam search divides the log probability of an answer: above 0 favours long answers.
    pub length_penalty: f64,
    /// Beam search ends as soon as `num_beams` answers are complete, even where a better one could still come.
    pub early_stopping: bool,
    /// Most tokens of prompt and answer together.
    pub max_length: usize,
    /// Most tokens of the answer; wins over `max_length`.
    pub max_new_tokens: Option<usize>,
    /// Texts that end an answer before them.
    pub stop: Vec<String>,
    /// When an answer has fallen into repeating itself and is ended; `None`: never.
    pub repetition: Option<RepetitionRule>,
    /// Seed of sampling.
    pub seed: u64,
}

impl Default for GenerationConfig {
    fn default() -> Self {
        Self {
            do_sample: true,
            temperature: 0.95,
            top_k: 50,
            top_p: 0.7,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            num_beams: 1,
            num_return_sequences: 1,
            length_penalty: 1.0,
            early_stopping: false,
            max_length: 2048,
            max_new_tokens: None,
            stop: Vec::new(),
            repetition: None,
            seed: 42,
        }
    }
}

impl GenerationConfig {
    /// Most tokens of the answer to a prompt of `padded_len` tokens, its padding in the official batch included: transformers
    /// counts that padding, and generates one token even where `max_length` leaves no room.
    pub fn answer_limit(&self, padded_len: usize) -> usize {
        self.max_new_tokens.unwrap_or_else(|| self.max_length.saturating_sub(padded_len)).max(1)
    }
}
