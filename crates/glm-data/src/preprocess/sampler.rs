//! One row of a file to its samples.

use super::encode::Encoder;
use super::example::Example;
use super::fit::{Fitter, check_room};
use super::report::Outcome;
use crate::config::{DataConfig, OnOverflow, TrainOn};
use crate::error::DataError;
use crate::format::{Conversation, Layout, row_error};
use crate::reader::{Row, Rows};
use crate::tokenizer::Tokenizer;
use crate::variant::Variant;

/// What samples are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Train,
    Generate,
}

/// What became of one answer.
#[derive(Debug)]
pub(crate) enum Made<T> {
    /// A sample.
    Sample(T, Outcome),
    /// Question or answer is empty.
    Empty,
    /// Nothing of it would be trained, or nothing of its question fits.
    Untrainable,
    /// It is longer than allowed, and not to be cut.
    TooLong(Outcome, String),
}

/// Makes samples of the rows of one file.
pub(crate) struct Sampler<'a> {
    pub(super) rows: &'a Rows,
    pub(super) encoder: Encoder<'a>,
    pub(super) train_on: TrainOn,
    pub(crate) layout: Layout,
}

impl<'a> Sampler<'a> {
    pub(crate) fn new(
        rows: &'a Rows,
        tokenizer: &'a Tokenizer,
        config: &'a DataConfig,
        purpose: Purpose,
    ) -> Result<Self, DataError> {
        if config.max_target_length == 0 && !config.compat {
            let reason = "max_target_length is 0, which leaves nothing to learn; raise it";
            return Err(DataError::Config(reason.into()));
        }
        if config.compat && config.on_overflow != OnOverflow::TrimHistory {
            let reason = "compat cuts rows that are too long as the official scripts do, and on_overflow asks for \
                          something else; leave one of them out";
            return Err(DataError::Config(reason.into()));
        }
        let mut encoder = Encoder { tokenizer, config, always_rounds: false };
        if !config.compat {
            check_room(&encoder)?;
        }
        let layout = Layout::of(rows, config)?;
        let official_training = config.compat && purpose == Purpose::Train;
        encoder.always_rounds =
            official_training && encoder.variant() == Variant::ChatGlm && layout.has_history_column();
        let train_on = config.train_on.unwrap_or(TrainOn::of(encoder.variant()));
        Ok(Self { rows, encoder, train_on, layout })
    }

    /// The dialogue of a row, if the variant can express it.
    pub(crate) fn conversation(&self, row: &Row) -> Result<Conversation, DataError> {
        let conversation = self.layout.conversation(self.rows, row)?;
        let variant = self.encoder.variant();
        if conversation.uses_tools && variant != Variant::ChatGlm3 {
            let reason = format!(
                "the row describes or calls tools, for which {} has no form; use ChatGLM3, or remove them",
                variant.name()
            );
            return Err(row_error(self.rows, row, &reason));
        }
        Ok(conversation)
    }

    pub(super) fn fitter(&self, train: bool) -> Fitter<'_> {
        Fitter { encoder: &self.encoder, train }
    }

    /// Samples of a row, by `make` for each example that has a text.
    pub(super) fn samples<T>(
        &self,
        examples: Vec<Example>,
        mut make: impl FnMut(&Example) -> Result<Made<T>, DataError>,
    ) -> Result<Vec<Made<T>>, DataError> {
        if examples.is_empty() {
            return Ok(vec![Made::Untrainable]);
        }
        examples.iter().map(|example| if example.is_empty() { Ok(Made::Empty) } else { make(example) }).collect()
    }

    /// Why an example is not to be cut, if it must be and must not.
    pub(super) fn refusal(&self, outcome: &Outcome) -> Option<String> {
        let config = self.encoder.config;
        if config.on_overflow == OnOverflow::TrimHistory || !(outcome.prompt_cut || outcome.answer_cut) {
            return None;
        }
        Some(format!(
            "too long: its prompt has {} tokens (max_source_length {}) and its answer {} (max_target_length {}); raise \
             the limit, or let on_overflow trim or drop such rows",
            outcome.prompt_len, config.max_source_length, outcome.answer_len, config.max_target_length
        ))
    }
}
