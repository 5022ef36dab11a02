//! How answers are generated.

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
    /// Most tokens of prompt and answer together.
    pub max_length: usize,
    /// Most tokens of the answer; wins over `max_length`.
    pub max_new_tokens: Option<usize>,
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
            max_length: 2048,
            max_new_tokens: None,
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
