//! Making prompts and answers fit their limits.

use super::encode::{Encoded, Encoder};
use super::example::Example;
use crate::config::DataConfig;
use crate::error::DataError;
use crate::format::Said;
use crate::prompt::Role;
use crate::variant::Variant;

/// Ids of a prompt within its limit.
pub(super) struct Prompt {
    pub(super) encoded: Encoded,
    /// Tokens before anything was cut.
    pub(super) full_len: usize,
}

impl Prompt {
    pub(super) fn is_cut(&self) -> bool {
        self.encoded.ids.len() < self.full_len
    }
}

/// Most tokens of a prompt, special tokens included. ChatGLM-6B's training script cuts the text alone to one token less
/// than `max_source_length` and then adds two; rows that fit there must fit here.
pub(super) fn prompt_limit(variant: Variant, config: &DataConfig) -> usize {
    match variant {
        Variant::ChatGlm => config.max_source_length.saturating_add(1),
        Variant::ChatGlm2 | Variant::ChatGlm3 => config.max_source_length,
    }
}

/// Fails when the limit leaves no room for a question.
pub(super) fn check_room(encoder: &Encoder) -> Result<(), DataError> {
    let config = encoder.config;
    let needed = encoder.prompt(&[&Said::new(Role::User, "")], false).ids.len();
    if needed < prompt_limit(encoder.variant(), config) {
        return Ok(());
    }
    Err(DataError::NoRoom { limit: config.max_source_length, needed, variant: encoder.variant().name() })
}

/// Fits prompts into their limit without touching the end of the template.
pub(super) struct Fitter<'a> {
    pub(super) encoder: &'a Encoder<'a>,
    /// Whether answers in the prompt are trained.
    pub(super) train: bool,
}

impl Fitter<'_> {
    /// The prompt, however long it is.
    pub(super) fn whole(&self, example: &Example) -> Prompt {
        let encoded = self.encoder.prompt(&example.prompt.iter().collect::<Vec<_>>(), self.train);
        Prompt { full_len: encoded.ids.len(), encoded }
    }

    /// The prompt within its limit, or `None` when not even a character of its question fits.
    pub(super) fn fit(&self, example: &Example) -> Option<Prompt> {
        let prompt = self.whole(example);
        if prompt.full_len <= self.limit() {
            return Some(prompt);
        }
        let (whole, full_len) = (example.prompt.iter().collect::<Vec<_>>(), prompt.full_len);
        let encoded = self.without_oldest_turns(&whole).or_else(|| self.without_middle(&whole))?;
        Some(Prompt { encoded, full_len })
    }

    fn limit(&self) -> usize {
        prompt_limit(self.encoder.variant(), self.encoder.config)
    }

    fn fitting(&self, messages: &[&Said]) -> Option<Encoded> {
        Some(self.encoder.prompt(messages, self.train)).filter(|encoded| encoded.ids.len() <= self.limit())
    }

    /// Drops as few of the oldest turns as possible and no system message; `None` when the last turn alone is too long.
    fn without_oldest_turns(&self, whole: &[&Said]) -> Option<Encoded> {
        let questions = questions(whole);
        let (mut too_few, mut enough) = (0, questions.len() - 1);
        let mut best = self.fitting(&last_turns(whole, questions[enough]))?;
        while enough - too_few > 1 {
            let middle = too_few.midpoint(enough);
            match self.fitting(&last_turns(whole, questions[middle])) {
                Some(encoded) => (enough, best) = (middle, encoded),
                None => too_few = middle,
            }
        }
        Some(best)
    }

    /// Keeps as many characters as possible at both ends of the last question.
    fn without_middle(&self, whole: &[&Said]) -> Option<Encoded> {
        let start = *questions(whole).last()?;
        let turn = last_turns(whole, start);
        let place = turn.iter().position(|said| said.role == Role::User)?;
        let query = &whole[start].content;
        let chars: Vec<(usize, char)> = query.char_indices().collect();
        // More characters than this cannot fit, so that a question of megabytes is not encoded again and again.
        let most = self.limit().saturating_mul(self.encoder.tokenizer.max_piece_chars());
        let (mut best, mut kept, mut too_many) = (None, 0, chars.len().min(most.saturating_add(1)));
        while too_many - kept > 1 {
            let middle = kept.midpoint(too_many);
            let head = chars[middle.div_ceil(2)].0;
            let tail = chars[chars.len() - middle / 2 - 1];
            let shortened = format!("{}{}", &query[..head], &query[tail.0 + tail.1.len_utf8()..]);
            let shortened = Said::new(Role::User, shortened);
            let mut turn = turn.clone();
            turn[place] = &shortened;
            match self.fitting(&turn) {
                Some(encoded) => (kept, best) = (middle, Some(encoded)),
                None => too_many = middle,
            }
        }
        best
    }
}

/// Places of the user's messages, of which there is at least one in every prompt.
fn questions(messages: &[&Said]) -> Vec<usize> {
    let places: Vec<usize> = (0..messages.len()).filter(|&i| messages[i].role == Role::User).collect();
    assert!(!places.is_empty(), "an answer stands behind a question");
    places
}

/// The system messages, and all from message `start` on.
fn last_turns<'a>(whole: &[&'a Said], start: usize) -> Vec<&'a Said> {
    let systems = whole[..start].iter().filter(|said| said.role == Role::System);
    systems.chain(&whole[start..]).copied().collect()
}
