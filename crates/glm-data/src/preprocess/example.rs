//! Which answers of a dialogue become samples.

use crate::config::TrainOn;
use crate::format::{Conversation, Said};
use crate::prompt::{Role, Turn};

/// An answer to train or to ask for, and all that stands before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Example<'a> {
    pub(crate) prompt: &'a [Said],
    pub(crate) answer: &'a Said,
}

impl<'a> Example<'a> {
    /// One example for each answer that is asked for, or only the last.
    pub(crate) fn all(conversation: &'a Conversation, train_on: TrainOn) -> Vec<Self> {
        let messages = &conversation.messages;
        let example = |i: usize| Self { prompt: &messages[..i], answer: &messages[i] };
        match train_on {
            TrainOn::LastAnswer => conversation.answers().next_back().map(example).into_iter().collect(),
            TrainOn::EveryAnswer => conversation.answers().map(example).collect(),
        }
    }

    /// ChatGLM3-6B's dialogues are one sample, which ends with this answer.
    pub(super) fn last(conversation: &'a Conversation, train_on: TrainOn) -> Option<Self> {
        let mut all = Self::all(conversation, train_on);
        let last = all.iter().rposition(|example| !example.is_empty()).or(all.len().checked_sub(1))?;
        Some(all.swap_remove(last))
    }

    /// The message that is answered.
    pub(super) fn query(&self) -> &'a str {
        self.prompt.last().map_or("", |said| &said.content)
    }

    /// Questions and answers before; calls of tools are left out.
    pub(super) fn history(&self) -> Vec<Turn> {
        let mut turns = Vec::new();
        let mut question = None;
        for said in &self.prompt[..self.prompt.len().saturating_sub(1)] {
            match said.role {
                Role::User => question = Some(said.content.clone()),
                Role::Assistant if said.metadata.is_empty() => {
                    turns.extend(question.take().map(|question| (question, said.content.clone())));
                }
                Role::Assistant | Role::System | Role::Observation => {}
            }
        }
        turns
    }

    /// Question or answer without a text, which the official scripts leave out. (A tool may give nothing back.)
    pub(crate) fn is_empty(&self) -> bool {
        let asks_nothing = self.prompt.last().is_none_or(|said| said.role == Role::User && said.content.is_empty());
        asks_nothing || (self.answer.content.is_empty() && self.answer.metadata.is_empty())
    }
}
