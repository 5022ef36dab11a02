//! Rows to generate for and to score.

use super::example::Example;
use super::fit::Prompt;
use super::official;
use super::report::{Outcome, PreprocessReport};
use super::sampler::{Made, Purpose, Sampler};
use super::walk;
use crate::config::DataConfig;
use crate::error::DataError;
use crate::prompt::Turn;
use crate::reader::{Row, Rows};
use crate::tokenizer::Tokenizer;
use crate::variant::Variant;

/// One row to generate for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvalRow {
    /// Ids of the prompt, special tokens included, without padding.
    pub ids: Vec<u32>,
    /// Ids of the expected answer as the official scripts have them, without an end token: the special tokens of a prompt
    /// and the answer, all cut to `max_target_length`; for ChatGLM3-6B the rest of the header and the answer.
    pub label_ids: Vec<u32>,
    /// Text of `label_ids`: what official scores compare with. ChatGLM3-6B's starts with the line break of the header,
    /// which the model writes too.
    pub reference: String,
    /// The question as it stands in the file.
    pub query: String,
    /// The answer as it stands in the file, not cut.
    pub answer: String,
    /// Earlier turns; calls of tools are left out.
    pub history: Vec<Turn>,
    /// 0-based row number in the file. A dialogue of which every answer is asked for gives several rows.
    pub source: usize,
}

/// Tokenizes rows for generation. Prompts are made as in [`train_rows`](crate::train_rows), so that a model is asked as
/// it was trained; with `compat`, as the official scripts make them for evaluation.
///
/// # Errors
/// As [`train_rows`](crate::train_rows).
pub fn eval_rows(
    rows: &Rows,
    tokenizer: &Tokenizer,
    config: &DataConfig,
) -> Result<(Vec<EvalRow>, PreprocessReport), DataError> {
    let sampler = Sampler::new(rows, tokenizer, config, Purpose::Generate)?;
    walk(&sampler, |row| sampler.eval(row))
}

impl Sampler<'_> {
    /// Rows to generate for, of a row of the file.
    pub(crate) fn eval(&self, row: &Row) -> Result<Vec<Made<EvalRow>>, DataError> {
        let conversation = self.conversation(row)?;
        self.samples(Example::all(&conversation, self.train_on), |example| Ok(self.eval_row(example, row.index)))
    }

    fn eval_row(&self, example: &Example, source: usize) -> Made<EvalRow> {
        let config = self.encoder.config;
        let prompt = match (config.compat, self.encoder.variant()) {
            (true, Variant::ChatGlm | Variant::ChatGlm2) => Some(official::eval_prompt(&self.encoder, example)),
            // The official script asks nothing whose prompt reaches the limit, the token of the role not counted.
            (true, Variant::ChatGlm3) => {
                Some(self.fitter(false).whole(example)).filter(|p| p.full_len <= config.max_source_length)
            }
            (false, _) => self.fitter(false).fit(example),
        };
        let Some(prompt) = prompt else { return Made::Untrainable };
        let (label_ids, outcome) = self.expected(example, &prompt);
        if let Some(reason) = self.refusal(&outcome) {
            return Made::TooLong(outcome, reason);
        }
        let row = EvalRow {
            reference: self.reference(&label_ids),
            label_ids,
            ids: prompt.encoded.ids,
            query: example.query().into(),
            answer: example.answer.content.clone(),
            history: example.history(),
            source,
        };
        Made::Sample(row, outcome)
    }

    /// Ids of the expected answer, and what was cut.
    fn expected(&self, example: &Example, prompt: &Prompt) -> (Vec<u32>, Outcome) {
        let config = self.encoder.config;
        let mut answer = self.encoder.answer(example.answer);
        let answer_len = answer.ids.len() - answer.header;
        let together = self.encoder.variant() == Variant::ChatGlm3;
        match (together, config.compat) {
            (false, _) => official::truncate(&mut answer.ids, config.max_target_length),
            (true, true) => answer.ids.truncate(config.max_target_length),
            (true, false) => answer.ids.truncate(config.max_target_length.saturating_add(answer.header)),
        }
        let kept = answer.ids.len().saturating_sub(answer.header);
        let mut outcome = Outcome::of(prompt, answer_len, kept < answer_len);
        outcome.supervised = kept;
        let label_ids = if together { answer.ids } else { self.encoder.with_specials(answer.ids) };
        (label_ids, outcome)
    }

    /// The official text of ChatGLM-6B's labels shows `[gMASK]`, which is in no answer, so only `compat` has it.
    fn reference(&self, label_ids: &[u32]) -> String {
        let tokenizer = self.encoder.tokenizer;
        match self.encoder.variant() {
            Variant::ChatGlm if self.encoder.config.compat => tokenizer.decode_skipping_specials(label_ids),
            Variant::ChatGlm => tokenizer.decode_skipping_specials(&label_ids[..label_ids.len() - 2]),
            Variant::ChatGlm2 | Variant::ChatGlm3 => tokenizer.decode(label_ids),
        }
    }
}
