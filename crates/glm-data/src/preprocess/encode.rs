//! Messages to ids, in the form of each variant.

use crate::config::DataConfig;
use crate::format::{Said, system_text};
use crate::prompt::{self, Message, Role, Turn};
use crate::tokenizer::Tokenizer;
use crate::variant::Variant;

/// Ids of a prompt, and which of them predict a token that is trained.
#[derive(Debug, Clone, Default)]
pub(super) struct Encoded {
    pub(super) ids: Vec<u32>,
    /// As long as `ids`: whether the token after this one is a target.
    pub(super) predicts: Vec<bool>,
}

/// Ids of an answer.
pub(super) struct Answer {
    pub(super) ids: Vec<u32>,
    /// Leading tokens that are a header and no text.
    pub(super) header: usize,
}

/// Encodes under one configuration.
pub(super) struct Encoder<'a> {
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) config: &'a DataConfig,
    /// ChatGLM-6B's training script numbers the rounds even where there is only one, once a history column is named.
    pub(super) always_rounds: bool,
}

impl Encoder<'_> {
    pub(super) fn variant(&self) -> Variant {
        self.tokenizer.variant()
    }

    /// A prompt: everything up to the answer that is asked for. With `train`, answers in it that may be trained are.
    pub(super) fn prompt(&self, messages: &[&Said], train: bool) -> Encoded {
        match self.variant() {
            Variant::ChatGlm | Variant::ChatGlm2 => self.prompt_of_text(self.text_ids(messages)),
            Variant::ChatGlm3 => {
                let mut encoded = self.messages(messages, train);
                encoded.ids.extend(self.tokenizer.role_id(Role::Assistant));
                encoded.predicts.resize(encoded.ids.len(), false);
                encoded
            }
        }
    }

    /// A prompt of ids that [`text_ids`](Self::text_ids) gave. `[gMASK]` of ChatGLM-6B is trained to predict `<sop>`.
    pub(super) fn prompt_of_text(&self, text: Vec<u32>) -> Encoded {
        let ids = self.with_specials(text);
        let mut predicts = vec![false; ids.len()];
        if self.variant() == Variant::ChatGlm {
            predicts[ids.len() - 2] = true;
        }
        Encoded { ids, predicts }
    }

    /// Ids of a prompt's text without special tokens: not for ChatGLM3-6B, whose prompts are no single text.
    pub(super) fn text_ids(&self, messages: &[&Said]) -> Vec<u32> {
        self.plain(&self.text(messages))
    }

    /// ChatGLM3-6B's messages one after another, behind `[gMASK] sop`.
    pub(super) fn messages(&self, messages: &[&Said], train: bool) -> Encoded {
        let mut encoded = Encoded { ids: self.with_specials(Vec::new()), predicts: Vec::new() };
        encoded.predicts.resize(encoded.ids.len(), false);
        let mut prefix = self.config.source_prefix.as_str();
        for said in messages {
            let prefix = if said.role == Role::User { std::mem::take(&mut prefix) } else { "" };
            encoded.ids.extend(self.message(said.role, &said.metadata, &format!("{prefix}{}", said.content)));
            encoded.predicts.resize(encoded.ids.len(), train && said.trained);
        }
        encoded
    }

    /// Ids of an answer, without the end token. ChatGLM3-6B's start with the rest of the header, which the model writes.
    pub(super) fn answer(&self, said: &Said) -> Answer {
        match self.variant() {
            Variant::ChatGlm | Variant::ChatGlm2 => Answer { ids: self.plain(&said.content), header: 0 },
            Variant::ChatGlm3 => {
                let header = self.message(said.role, &said.metadata, "").len() - 1;
                Answer { ids: self.message(said.role, &said.metadata, &said.content).split_off(1), header }
            }
        }
    }

    /// `text` and the special tokens of a prompt, where the variant has them.
    pub(super) fn with_specials(&self, mut text: Vec<u32>) -> Vec<u32> {
        let specials = self.tokenizer.prompt_specials();
        match self.variant() {
            Variant::ChatGlm => text.extend(specials),
            Variant::ChatGlm2 | Variant::ChatGlm3 => drop(text.splice(..0, specials)),
        }
        text
    }

    fn text(&self, messages: &[&Said]) -> String {
        let mut said = messages.iter().filter(|said| said.role != Role::System).map(|said| said.content.as_str());
        let mut history: Vec<Turn> = Vec::new();
        let mut query = said.next().unwrap_or_default();
        while let (Some(answer), Some(next)) = (said.next(), said.next()) {
            history.push((query.into(), answer.into()));
            query = next;
        }
        let mut query = query.to_string();
        if let Some(system) = system_text(messages.iter().copied()) {
            // These variants know no system message; its text goes before the first question, as in `prompt::prompt_ids`.
            history.first_mut().map_or(&mut query, |(first, _)| first).insert_str(0, &system);
        }
        let prompt = match self.variant() {
            Variant::ChatGlm if self.always_rounds => prompt::chatglm::build_rounds(&query, &history),
            Variant::ChatGlm => prompt::chatglm::build_prompt(&query, &history),
            Variant::ChatGlm2 | Variant::ChatGlm3 => prompt::chatglm2::build_prompt(&query, &history),
        };
        format!("{}{prompt}", self.config.source_prefix)
    }

    fn message(&self, role: Role, metadata: &str, content: &str) -> Vec<u32> {
        let message = Message { metadata: metadata.into(), ..Message::new(role, content) };
        prompt::chatglm3::single_message_ids(self.tokenizer, &message)
    }

    /// Text without special tokens around it. ChatGLM-6B's official tokenizer makes special tokens of strings that name
    /// them, which in a user's text would move the end of the prompt, so only `compat` does.
    fn plain(&self, text: &str) -> Vec<u32> {
        if self.config.compat && self.variant() == Variant::ChatGlm {
            self.tokenizer.encode_with_specials(text)
        } else {
            self.tokenizer.encode(text)
        }
    }
}
