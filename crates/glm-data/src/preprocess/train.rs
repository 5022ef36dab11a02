//! Training rows.

use super::encode::Encoded;
use super::example::Example;
use super::fit::Prompt;
use super::official;
use super::report::{Outcome, PreprocessReport};
use super::sampler::{Made, Purpose, Sampler};
use super::walk;
use crate::batch::{IGNORE_INDEX, TrainRow};
use crate::config::{DataConfig, TrainOn};
use crate::error::DataError;
use crate::format::Conversation;
use crate::position::Positions;
use crate::reader::{Row, Rows};
use crate::tokenizer::Tokenizer;
use crate::variant::Variant;

/// Tokenizes rows for training: the prompt in the form of the tokenizer's variant, then the answer and the end token.
///
/// With `compat`, ids and labels are those of the official scripts (whose padding to the right is not made here), cuts
/// included. Without, rows that fit are the same, an over-long prompt loses its oldest turns and then the middle of the
/// question, and an answer that is cut is not followed by the end token, so that no row teaches to stop half-way.
///
/// Labels: ChatGLM2-6B is trained on the answer and the end token, ChatGLM-6B also on the `<sop>` before them. Of
/// ChatGLM3-6B's dialogues, what follows each token of the assistant's messages is trained: the rest of the header, the text,
/// and the role or end token behind it.
///
/// # Errors
/// [`DataError::Column`], [`DataError::Format`] and [`DataError::Row`] for what cannot be read (rows not with `lenient`),
/// [`DataError::NoRoom`] and [`DataError::Config`] for impossible limits, [`DataError::NoRows`] when no row is left.
pub fn train_rows(
    rows: &Rows,
    tokenizer: &Tokenizer,
    config: &DataConfig,
) -> Result<(Vec<TrainRow>, PreprocessReport), DataError> {
    let sampler = Sampler::new(rows, tokenizer, config, Purpose::Train)?;
    walk(&sampler, |row| sampler.train(row))
}

impl Sampler<'_> {
    /// Training samples of a row.
    pub(crate) fn train(&self, row: &Row) -> Result<Vec<Made<TrainRow>>, DataError> {
        let conversation = self.conversation(row)?;
        self.train_conversation(&conversation, row.index)
    }

    pub(crate) fn train_conversation(
        &self,
        conversation: &Conversation,
        source: usize,
    ) -> Result<Vec<Made<TrainRow>>, DataError> {
        let together = self.encoder.variant() == Variant::ChatGlm3;
        let examples = match together {
            true => Example::last(conversation, self.train_on).into_iter().collect(),
            false => Example::all(conversation, self.train_on),
        };
        self.samples(examples, |example| match (self.encoder.config.compat, together) {
            (true, true) => self.whole_dialogue(conversation, example, source),
            (true, false) => self.official(example, source),
            (false, _) => self.fitted(example, source),
        })
    }

    fn fitted(&self, example: &Example, source: usize) -> Result<Made<TrainRow>, DataError> {
        let train_earlier = self.train_on == TrainOn::EveryAnswer;
        let Some(prompt) = self.fitter(train_earlier).fit(example) else { return Ok(Made::Untrainable) };
        let mut answer = self.encoder.answer(example.answer);
        let answer_len = answer.ids.len() - answer.header;
        answer.ids.truncate(self.encoder.config.max_target_length.saturating_add(answer.header));
        let answer_cut = answer.ids.len() - answer.header < answer_len;
        if !answer_cut {
            answer.ids.push(self.encoder.tokenizer.eos_id());
        }
        let outcome = Outcome::of(&prompt, answer_len, answer_cut);
        if let Some(reason) = self.refusal(&outcome) {
            return Ok(Made::TooLong(outcome, reason));
        }
        self.joined(prompt, answer.ids, outcome, source)
    }

    fn official(&self, example: &Example, source: usize) -> Result<Made<TrainRow>, DataError> {
        let prompt = official::train_prompt(&self.encoder, example);
        let mut answer = self.encoder.answer(example.answer).ids;
        let answer_len = answer.len();
        answer.truncate(official::answer_limit(&self.encoder));
        let outcome = Outcome::of(&prompt, answer_len, answer.len() < answer_len);
        answer.push(self.encoder.tokenizer.eos_id());
        self.joined(prompt, answer, outcome, source)
    }

    /// ChatGLM3-6B with `compat`: what stands behind the last trained answer is kept.
    fn whole_dialogue(
        &self,
        conversation: &Conversation,
        example: &Example,
        source: usize,
    ) -> Result<Made<TrainRow>, DataError> {
        let mut messages = conversation.messages.clone();
        if self.train_on == TrainOn::LastAnswer {
            let last = example.prompt.len();
            messages.truncate(last + 1);
            messages[..last].iter_mut().for_each(|said| said.trained = false);
        }
        let (encoded, full_len) = official::whole_dialogue(&self.encoder, &messages.iter().collect::<Vec<_>>());
        let answer = self.encoder.answer(example.answer);
        let is_cut = encoded.ids.len() < full_len;
        let outcome = Outcome::of(&self.fitter(false).whole(example), answer.ids.len() - answer.header, is_cut);
        self.finished(encoded, outcome, source)
    }

    /// A prompt and the answer, all of whose ids are targets.
    fn joined(
        &self,
        prompt: Prompt,
        answer: Vec<u32>,
        outcome: Outcome,
        source: usize,
    ) -> Result<Made<TrainRow>, DataError> {
        let mut encoded = prompt.encoded;
        if let Some(last) = encoded.predicts.last_mut() {
            *last = true;
        }
        encoded.ids.extend(answer);
        encoded.predicts.resize(encoded.ids.len(), true);
        self.finished(encoded, outcome, source)
    }

    fn finished(&self, encoded: Encoded, mut outcome: Outcome, source: usize) -> Result<Made<TrainRow>, DataError> {
        let (variant, config, tokenizer) = (self.encoder.variant(), self.encoder.config, self.encoder.tokenizer);
        let Encoded { mut ids, mut predicts } = encoded;
        if variant == Variant::ChatGlm
            && let Some(first) = ids.iter().position(|&id| id == tokenizer.sop_id())
        {
            // The official script trains from the first of them on, and the network masks so, even one in a text.
            predicts.iter_mut().skip(first.saturating_sub(1)).for_each(|predicts| *predicts = true);
        }
        let pad = tokenizer.pad_id();
        // The scripts of ChatGLM-6B and ChatGLM2-6B compare labels with the pad id, and unknown tokens may have the same.
        let ignores_pad = config.ignore_pad_token_for_loss && variant != Variant::ChatGlm3;
        let label = |i: usize| match ids[i] {
            id if i == 0 || !predicts[i - 1] || (ignores_pad && id == pad) => IGNORE_INDEX,
            id => i64::from(id),
        };
        let mut labels: Vec<i64> = (0..ids.len()).map(label).collect();
        let context_len = predicts.iter().position(|&predicts| predicts).map_or(ids.len(), |first| first + 1);
        if config.compat && !config.ignore_pad_token_for_loss && variant != Variant::ChatGlm3 {
            self.pad(&mut ids, &mut labels, context_len);
        }
        outcome.supervised = labels.iter().skip(1).filter(|&&label| label != IGNORE_INDEX).count();
        if outcome.supervised == 0 {
            return Ok(Made::Untrainable);
        }
        let positions = Positions::of(tokenizer, &ids)?;
        Ok(Made::Sample(TrainRow { ids, labels, context_len, positions, source }, outcome))
    }

    /// The official padding, made where it is a target.
    fn pad(&self, ids: &mut Vec<u32>, labels: &mut Vec<i64>, context_len: usize) {
        let (config, pad) = (self.encoder.config, self.encoder.tokenizer.pad_id());
        let mut padded = config.max_source_length.saturating_add(config.max_target_length);
        if self.encoder.variant() == Variant::ChatGlm2 {
            padded = padded.saturating_add(1);
            labels[..context_len].fill(i64::from(pad));
        }
        labels.resize(padded.max(ids.len()), i64::from(pad));
        ids.resize(labels.len(), pad);
    }
}
