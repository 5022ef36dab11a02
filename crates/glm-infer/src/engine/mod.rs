//! Generation over a packed batch: a frozen network, adapter slots and the rows that are being answered.

mod joined;
mod running;

pub use running::Running;

use crate::{GenerationConfig, InferError, Result, decode};
use glm_data::{Positions, Tokenizer};
use glm_model::Network;
use glm_model::adapter::AdapterSlots;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most prompt tokens of one forward pass, unless [`Engine::prefill_tokens`] is changed. Longer prompts are taken in
/// pieces, which bounds the memory of activations and the time until a stop flag is seen.
const PREFILL_TOKENS: usize = 2048;

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
        Self { eos: vec![tokenizer.eos_id()], pad: tokenizer.pad_id() }
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
    /// Whether the official batch has padding before this prompt: the repetition penalty then sees the pad token too.
    pub padded: bool,
    /// Which of the independent random streams of the seed samples this row. It, not the batch, decides what is drawn.
    pub stream: u64,
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
        let padded = padded_len > prompt.len();
        Self {
            slot,
            positions: Positions::Linear,
            max_new_tokens: config.answer_limit(padded_len),
            padded,
            stream: 0,
            source: 0,
            prompt,
        }
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// By an end token, which is the last of its tokens.
    Eos,
    /// It has as many tokens as it may.
    Length,
    /// The stop flag was set.
    Stopped,
}

/// What was generated for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Generated tokens, the end token included.
    pub tokens: Vec<u32>,
    /// Why there are no more.
    pub finish: Finish,
}

impl Answer {
    /// The tokens without the end token.
    pub fn content(&self) -> &[u32] {
        match self.finish {
            Finish::Eos => &self.tokens[..self.tokens.len().saturating_sub(1)],
            Finish::Length | Finish::Stopped => &self.tokens,
        }
    }
}

/// Generates with one network for rows that may use different adapter slots or none.
#[derive(Debug, Clone)]
pub struct Engine<'a> {
    network: &'a Network,
    prefixes: &'a AdapterSlots,
    /// Ids that end or pad.
    pub special: SpecialIds,
    /// Most prompt tokens of one forward pass.
    pub prefill_tokens: usize,
}

impl<'a> Engine<'a> {
    /// Joins the parts; nothing is copied.
    pub fn new(network: &'a Network, prefixes: &'a AdapterSlots, special: SpecialIds) -> Self {
        Self { network, prefixes, special, prefill_tokens: PREFILL_TOKENS }
    }

    /// Starts a batch without rows.
    ///
    /// # Errors
    /// When no distribution follows from the settings.
    pub fn start(&self, config: &GenerationConfig) -> Result<Running<'_>> {
        decode::check(config)?;
        Ok(Running::new(self, config.clone()))
    }

    /// Answers all requests in one batch, from which rows leave as they end. `on_token` gets the index of the request and
    /// each token as it is chosen, the end token included. When `stop` is set, the tokens so far are returned.
    ///
    /// # Errors
    /// When a logit is not finite (row and token are named), a slot is empty, an id is outside the vocabulary or a
    /// setting is bad.
    pub fn generate(
        &self,
        requests: &[Request],
        config: &GenerationConfig,
        stop: &AtomicBool,
        on_token: &mut dyn FnMut(usize, u32),
    ) -> Result<Vec<Answer>> {
        let mut running = self.start(config)?;
        for (index, request) in requests.iter().enumerate() {
            running.admit(index, request)?;
        }
        let mut answers: Vec<Option<Answer>> = vec![None; requests.len()];
        while !running.is_empty() && !stop.load(Ordering::Relaxed) {
            for (index, answer) in running.step(on_token)? {
                answers[index] = Some(answer);
            }
        }
        for (index, answer) in running.cancel() {
            answers[index] = Some(answer);
        }
        Ok(answers.into_iter().flatten().collect())
    }
}

fn row_error(source: usize) -> impl FnOnce(decode::DecodeError) -> InferError {
    move |error| InferError::Row { row: source + 1, source: error }
}
