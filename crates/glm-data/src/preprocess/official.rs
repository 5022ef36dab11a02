//! Cuts of the official scripts: the beginning is kept, whatever is lost behind it.

use super::encode::{Encoded, Encoder};
use super::example::Example;
use super::fit::Prompt;
use crate::format::Said;
use crate::variant::Variant;

/// The prompt of a training row (ChatGLM-6B, ChatGLM2-6B).
pub(super) fn train_prompt(encoder: &Encoder, example: &Example) -> Prompt {
    let limit = encoder.config.max_source_length;
    cut_prompt(encoder, example, |text| match encoder.variant() {
        // This script cuts before it adds special tokens.
        Variant::ChatGlm => text.truncate(limit.saturating_sub(1)),
        Variant::ChatGlm2 | Variant::ChatGlm3 => truncate(text, limit),
    })
}

/// The prompt of a row to generate for (ChatGLM-6B, ChatGLM2-6B).
pub(super) fn eval_prompt(encoder: &Encoder, example: &Example) -> Prompt {
    cut_prompt(encoder, example, |text| truncate(text, encoder.config.max_source_length))
}

fn cut_prompt(encoder: &Encoder, example: &Example, cut: impl Fn(&mut Vec<u32>)) -> Prompt {
    let mut text = encoder.text_ids(&example.prompt.iter().collect::<Vec<_>>());
    let full_len = encoder.with_specials(text.clone()).len();
    cut(&mut text);
    Prompt { encoded: encoder.prompt_of_text(text), full_len }
}

/// Cuts the ids of a text so that the two special tokens fit too; the official tokenizer cuts nothing when there is no room
/// for them.
pub(super) fn truncate(text: &mut Vec<u32>, limit: usize) {
    if limit > 2 {
        text.truncate(limit - 2);
    }
}

/// Most tokens of an answer in training, without the end token.
pub(super) fn answer_limit(encoder: &Encoder) -> usize {
    match encoder.config.max_target_length {
        limit if encoder.variant() == Variant::ChatGlm => limit.saturating_sub(2),
        0 => usize::MAX,
        limit => limit,
    }
}

/// ChatGLM3-6B's training sample: all messages and the end token, cut to the sum of both limits and one.
pub(super) fn whole_dialogue(encoder: &Encoder, messages: &[&Said]) -> (Encoded, usize) {
    let mut encoded = encoder.messages(messages, true);
    encoded.ids.push(encoder.tokenizer.eos_id());
    encoded.predicts.push(false);
    let full_len = encoded.ids.len();
    let config = encoder.config;
    let limit = config.max_source_length.saturating_add(config.max_target_length).saturating_add(1);
    encoded.ids.truncate(limit);
    encoded.predicts.truncate(limit);
    (encoded, full_len)
}
