//! Generation over a packed batch: a frozen network, adapter slots and the rows that are being answered.

mod answer;
mod joined;
mod past;
mod request;
mod row;
mod running;
mod sequence;
mod token;

pub use answer::{Answer, Finish};
pub use past::Past;
pub use request::{Request, SpecialIds};
pub use running::{Ended, Load, Running};
pub use token::{Logprobs, Token};

use crate::{GenerationConfig, Result, decode};
use glm_data::Tokenizer;
use glm_model::Network;
use glm_model::adapter::AdapterSlots;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most prompt tokens of one forward pass, unless [`Engine::prefill_tokens`] is changed. Longer prompts are taken in
/// pieces, which bounds the memory of activations and the time until a stop flag is seen.
const PREFILL_TOKENS: usize = 2048;

/// Generates with one network for rows that may use different adapter slots or none.
#[derive(Debug, Clone)]
pub struct Engine<'a> {
    network: &'a Network,
    prefixes: &'a AdapterSlots,
    tokenizer: Option<&'a Tokenizer>,
    /// Ids that end or pad.
    pub special: SpecialIds,
    /// Most prompt tokens of one forward pass; a prompt that cannot be cut (ChatGLM-6B's) may be longer.
    pub prefill_tokens: usize,
}

impl<'a> Engine<'a> {
    /// Joins the parts; nothing is copied.
    pub fn new(network: &'a Network, prefixes: &'a AdapterSlots, special: SpecialIds) -> Self {
        Self { network, prefixes, tokenizer: None, special, prefill_tokens: PREFILL_TOKENS }
    }

    /// With the vocabulary in which stop strings are looked for.
    pub fn with_tokenizer(self, tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer: Some(tokenizer), ..self }
    }

    /// Starts a batch without rows.
    pub fn start(&self) -> Running<'_> {
        Running::new(self)
    }

    /// Answers all requests in one batch, from which rows leave as they end. `on_token` gets the index of the request and
    /// each token of its answer, the end token included, as soon as it is certain: at once as a rule, later where a stop
    /// string may have begun, all at the end of a beam search. When `stop` is set, what there is so far is returned.
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
        decode::check(config)?;
        let mut running = self.start();
        for (index, request) in requests.iter().enumerate() {
            running.admit(index, request, config)?;
        }
        let mut answers: Vec<Option<Answer>> = vec![None; requests.len()];
        while !running.is_empty() && !stop.load(Ordering::Relaxed) {
            for ended in running.step(&mut |token| on_token(token.index, token.id))? {
                answers[ended.index] = Some(ended.answer?);
            }
        }
        for ended in running.cancel() {
            answers[ended.index] = Some(ended.answer?);
        }
        Ok(answers.into_iter().flatten().collect())
    }
}
