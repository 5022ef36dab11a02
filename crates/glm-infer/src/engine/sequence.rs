//! Tokens of one prompt and answer, and what ends the answer besides its length.

use super::{Answer, Finish, SpecialIds};
use crate::decode::{self, RepetitionRule};
use crate::{GenerationConfig, InferError, Result};
use glm_data::{StreamDecoder, Tokenizer};

/// What ends answers.
#[derive(Debug)]
pub(super) struct Endings<'a> {
    pub(super) special: &'a SpecialIds,
    stop: Vec<String>,
    repetition: Option<RepetitionRule>,
    tokenizer: Option<&'a Tokenizer>,
}

impl<'a> Endings<'a> {
    pub(super) fn new(
        special: &'a SpecialIds,
        tokenizer: Option<&'a Tokenizer>,
        config: &GenerationConfig,
    ) -> Result<Self> {
        if !config.stop.is_empty() && tokenizer.is_none() {
            return Err(InferError::NoTokenizer);
        }
        let tokenizer = tokenizer.filter(|_| !config.stop.is_empty());
        Ok(Self { special, stop: config.stop.clone(), repetition: config.repetition, tokenizer })
    }
}

/// A prompt with the answer so far.
#[derive(Debug, Clone)]
pub(super) struct Sequence<'a> {
    /// All that the repetition penalty sees: the pad token where there is padding, the prompt, the answer.
    ids: Vec<u32>,
    /// Where the prompt begins: behind the pad token.
    prompt: usize,
    /// Where the answer begins.
    answer: usize,
    /// The text, where stop strings are looked for.
    text: Option<Text<'a>>,
}

#[derive(Debug, Clone)]
struct Text<'a> {
    decoder: StreamDecoder<'a>,
    text: String,
    /// Length of the text after each token, in bytes. Tokens that are part of an unfinished character have none yet.
    ends: Vec<usize>,
    /// Where the stop string begins.
    stop: Option<usize>,
}

impl<'a> Sequence<'a> {
    pub(super) fn new(prompt: &[u32], padded: bool, endings: &Endings<'a>) -> Self {
        let mut ids = Vec::with_capacity(prompt.len() + 1);
        ids.extend(padded.then_some(endings.special.pad));
        ids.extend_from_slice(prompt);
        let text = endings.tokenizer.map(|tokenizer| Text {
            decoder: tokenizer.stream_skipping_specials(),
            text: String::new(),
            ends: Vec::new(),
            stop: None,
        });
        Self { prompt: usize::from(padded), answer: ids.len(), ids, text }
    }

    pub(super) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// What the network sees: prompt and answer.
    pub(super) fn tokens(&self) -> &[u32] {
        &self.ids[self.prompt..]
    }

    pub(super) fn answer(&self) -> &[u32] {
        &self.ids[self.answer..]
    }

    /// Appends a token; returns what it ends the answer by.
    pub(super) fn push(&mut self, token: u32, endings: &Endings<'_>) -> Option<Finish> {
        self.ids.push(token);
        if endings.special.eos.contains(&token) {
            return Some(Finish::Eos);
        }
        let tokens = self.answer().len();
        if let Some(text) = &mut self.text {
            let known = text.text.len();
            text.text.push_str(&text.decoder.push(token));
            if text.text.len() > known {
                text.ends.resize(tokens, text.text.len());
                text.stop = decode::find_stop(&text.text, known, &endings.stop);
                if text.stop.is_some() {
                    return Some(Finish::Stop);
                }
            }
        }
        endings.repetition.is_some_and(|rule| rule.applies(self.answer())).then_some(Finish::Repetition)
    }

    /// Tokens of the answer that will stay part of it, whatever follows: no stop string can begin in them.
    pub(super) fn certain(&self, endings: &Endings<'_>) -> &[u32] {
        let count = self.text.as_ref().map_or(usize::MAX, |text| {
            let len = decode::certain_len(&text.text, &endings.stop);
            text.ends.partition_point(|end| *end <= len)
        });
        &self.answer()[..count.min(self.answer().len())]
    }

    pub(super) fn into_answer(self, finish: Finish) -> Answer {
        let mut answer = Answer::new(self.answer().to_vec(), finish);
        if let Some(Text { mut text, ends, stop: Some(start), .. }) = self.text {
            answer.tokens.truncate(ends.partition_point(|end| *end <= start));
            text.truncate(start);
            answer.text = Some(text);
        }
        answer
    }
}
