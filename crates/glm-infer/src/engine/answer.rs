//! What is answered.

use glm_data::Tokenizer;

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// By an end token, which is the last of its tokens.
    Eos,
    /// By a stop string, before which it ends.
    Stop,
    /// It repeated itself ([`crate::decode::RepetitionRule`]); the repetitions are part of it.
    Repetition,
    /// It has as many tokens as it may.
    Length,
    /// The stop flag was set.
    Stopped,
}

/// What was generated for one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Generated tokens, the end token included. After beam search that is the first of the end tokens, whichever was
    /// chosen (as in transformers). Before a stop string: those that hold nothing of it.
    pub tokens: Vec<u32>,
    /// Why there are no more.
    pub finish: Finish,
    /// The text before the stop string, which may end within a token; only when one ended the answer.
    pub text: Option<String>,
    /// By which beam search ranks its answers: log probability over length to the power of the length penalty.
    pub score: Option<f64>,
    /// The next best answers of beam search, `num_return_sequences - 1` of them or fewer when there are fewer.
    pub others: Vec<Answer>,
}

impl Answer {
    pub(super) fn new(tokens: Vec<u32>, finish: Finish) -> Self {
        Self { tokens, finish, text: None, score: None, others: Vec::new() }
    }

    /// The tokens without the end token.
    pub fn content(&self) -> &[u32] {
        match self.finish {
            Finish::Eos => &self.tokens[..self.tokens.len().saturating_sub(1)],
            Finish::Stop | Finish::Repetition | Finish::Length | Finish::Stopped => &self.tokens,
        }
    }

    /// The text without end token and other special tokens, or that before the stop string.
    pub fn decode(&self, tokenizer: &Tokenizer) -> String {
        self.text.clone().unwrap_or_else(|| tokenizer.decode_skipping_specials(self.content()))
    }
}
