//! Rows to generate for and to score.

use super::fit::{PromptBuilder, truncate_officially};
use super::report::{Outcome, PreprocessReport};
use super::walk;
use crate::config::DataConfig;
use crate::error::DataError;
use crate::prompt::Turn;
use crate::reader::Rows;
use crate::tokenizer::Tokenizer;

/// One row to generate for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvalRow {
    /// Ids of the prompt, special tokens included, without padding.
    pub ids: Vec<u32>,
    /// Ids of the expected answer as the official script has them: special tokens first, no end token, all cut to
    /// `max_target_length`.
    pub label_ids: Vec<u32>,
    /// Text of `label_ids`: what official scores compare with.
    pub reference: String,
    /// The question as it stands in the file.
    pub query: String,
    /// The answer as it stands in the file, not cut.
    pub answer: String,
    /// Earlier turns.
    pub history: Vec<Turn>,
    /// 0-based row number in the file.
    pub source: usize,
}

/// Tokenizes rows for generation. Prompts are made as in [`train_rows`](crate::train_rows), so that a model is asked as
/// it was trained.
///
/// # Errors
/// As [`train_rows`](crate::train_rows).
pub fn eval_rows(
    rows: &Rows,
    tokenizer: &Tokenizer,
    config: &DataConfig,
) -> Result<(Vec<EvalRow>, PreprocessReport), DataError> {
    let prompts = PromptBuilder::new(tokenizer, config)?;
    let specials = tokenizer.prompt_specials().len();
    walk(rows, config, |source, example| {
        let Some(prompt) = prompts.build(&example) else { return (None, Outcome::untrainable()) };
        let mut label_ids = tokenizer.encode_prompt(example.answer);
        let answer_len = label_ids.len() - specials;
        truncate_officially(&mut label_ids, specials, config.max_target_length);
        let supervised = label_ids.len() - specials;
        let outcome = Outcome {
            prompt_len: prompt.full_len,
            answer_len,
            prompt_cut: prompt.is_cut(),
            answer_cut: supervised < answer_len,
            supervised,
        };
        let row = EvalRow {
            reference: tokenizer.decode(&label_ids),
            label_ids,
            ids: prompt.ids,
            query: example.query.into(),
            answer: example.answer.into(),
            history: example.history,
            source,
        };
        (Some(row), outcome)
    })
}
