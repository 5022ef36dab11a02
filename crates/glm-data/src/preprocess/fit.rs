//! Making prompts and answers fit their limits.

use super::fields::Example;
use crate::config::DataConfig;
use crate::error::DataError;
use crate::prompt::{build_prompt, prompt_ids};
use crate::tokenizer::Tokenizer;

/// Ids of a prompt within its limit.
pub(super) struct Prompt {
    pub(super) ids: Vec<u32>,
    /// Tokens before anything was cut.
    pub(super) full_len: usize,
}

impl Prompt {
    pub(super) fn is_cut(&self) -> bool {
        self.ids.len() < self.full_len
    }
}

/// Builds prompts under one configuration.
pub(super) struct PromptBuilder<'a> {
    tokenizer: &'a Tokenizer,
    config: &'a DataConfig,
}

impl<'a> PromptBuilder<'a> {
    /// Fails when the limit leaves no room for a question.
    pub(super) fn new(tokenizer: &'a Tokenizer, config: &'a DataConfig) -> Result<Self, DataError> {
        let builder = Self { tokenizer, config };
        let needed = builder.encode("", &[]).len();
        if !config.compat && needed >= config.max_source_length {
            let variant = tokenizer.variant().name();
            return Err(DataError::NoRoom { limit: config.max_source_length, needed, variant });
        }
        Ok(builder)
    }

    /// The ids of an example's prompt, or `None` when not even a character of its question fits.
    pub(super) fn build(&self, example: &Example) -> Option<Prompt> {
        let mut ids = self.encode(example.query, &example.history);
        let full_len = ids.len();
        let limit = self.config.max_source_length;
        if self.config.compat {
            truncate_officially(&mut ids, self.tokenizer.prompt_specials().len(), limit);
        } else if full_len > limit {
            ids = self.without_oldest_turns(example).or_else(|| self.without_middle(example.query))?;
        }
        Some(Prompt { ids, full_len })
    }

    fn encode(&self, query: &str, history: &[(String, String)]) -> Vec<u32> {
        let prefix = &self.config.source_prefix;
        match build_prompt(self.tokenizer.variant(), query, history) {
            Some(prompt) => self.tokenizer.encode_prompt(&format!("{prefix}{prompt}")),
            None => prompt_ids(self.tokenizer, &format!("{prefix}{query}"), history, None),
        }
    }

    fn fits(&self, query: &str, history: &[(String, String)]) -> Option<Vec<u32>> {
        Some(self.encode(query, history)).filter(|ids| ids.len() <= self.config.max_source_length)
    }

    /// Drops as few of the oldest turns as possible; `None` when the question alone is too long.
    fn without_oldest_turns(&self, example: &Example) -> Option<Vec<u32>> {
        let (mut too_few, mut enough) = (0, example.history.len());
        let mut best = self.fits(example.query, &[])?;
        while enough - too_few > 1 {
            let middle = too_few.midpoint(enough);
            match self.fits(example.query, &example.history[middle..]) {
                Some(ids) => (enough, best) = (middle, ids),
                None => too_few = middle,
            }
        }
        Some(best)
    }

    /// Keeps as many characters as possible at both ends of the question.
    fn without_middle(&self, query: &str) -> Option<Vec<u32>> {
        let chars: Vec<(usize, char)> = query.char_indices().collect();
        // More characters than this cannot fit, so that a question of megabytes is not encoded again and again.
        let most = self.config.max_source_length.saturating_mul(self.tokenizer.max_piece_chars());
        let (mut best, mut kept, mut too_many) = (None, 0, chars.len().min(most.saturating_add(1)));
        while too_many - kept > 1 {
            let middle = kept.midpoint(too_many);
            let head = chars[middle.div_ceil(2)].0;
            let tail = chars[chars.len() - middle / 2 - 1];
            let shortened = format!("{}{}", &query[..head], &query[tail.0 + tail.1.len_utf8()..]);
            match self.fits(&shortened, &[]) {
                Some(ids) => (kept, best) = (middle, Some(ids)),
                None => too_many = middle,
            }
        }
        best
    }
}

/// The official tokenizer keeps the beginning, and keeps everything when the limit has no room beside `specials`.
pub(super) fn truncate_officially(ids: &mut Vec<u32>, specials: usize, limit: usize) {
    if limit > specials {
        ids.truncate(limit);
    }
}
