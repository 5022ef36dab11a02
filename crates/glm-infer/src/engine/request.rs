//! What is asked.

use crate::GenerationConfig;
use glm_data::{Positions, Tokenizer};

/// Ids that generation must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecialIds {
    /// Tokens that end an answer.
    pub eos: Vec<u32>,
    /// Token that the official batches are padded with.
    pub pad: u32,
}

impl SpecialIds {
    /// Those of a tokenizer.
    pub fn of(tokenizer: &Tokenizer) -> Self {
        Self { eos: tokenizer.eos_ids(), pad: tokenizer.pad_id() }
    }
}

/// One prompt to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Ids of the prompt, special tokens included, without padding.
    pub prompt: Vec<u32>,
    /// Where its tokens, and those of the answer, stand.
    pub positions: Positions,
    /// Adapter slot; `None`: the bare base.
    pub slot: Option<usize>,
    /// Most tokens of the answer, its end token included; at least one is always generated.
    pub max_new_tokens: usize,
    /// Pad tokens that the official batch has before this prompt. Where there are any, the repetition penalty sees the pad
    /// token too; beam search counts them in the length of an answer.
    pub padding: usize,
    /// Which of the independent random streams of the seed samples this row. It, not the batch, decides what is drawn.
    pub stream: u64,
    /// How many of the most likely tokens are named beside each token of the answer; `None`: no probabilities at all, as with
    /// beam search.
    pub logprobs: Option<usize>,
    /// 0-based row of the file that the prompt came from, for messages.
    pub source: usize,
}

impl Request {
    /// A prompt that stands alone.
    pub fn new(prompt: Vec<u32>, slot: Option<usize>, config: &GenerationConfig) -> Self {
        let len = prompt.len();
        Self::in_batch(prompt, slot, len, config)
    }

    /// A prompt of a batch whose prompts are padded on the left to `padded_len` officially. `max_length` counts that
    /// padding, so the answer may have `max_length - padded_len` tokens.
    pub fn in_batch(prompt: Vec<u32>, slot: Option<usize>, padded_len: usize, config: &GenerationConfig) -> Self {
        Self {
            slot,
            positions: Positions::Linear,
            max_new_tokens: config.answer_limit(padded_len),
            padding: padded_len.saturating_sub(prompt.len()),
            stream: 0,
            logprobs: None,
            source: 0,
            prompt,
        }
    }
}
