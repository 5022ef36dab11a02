//! Prompts of each variant: from a question and what was said before to the ids that the model reads.

pub mod chatglm;
pub mod chatglm2;
pub mod chatglm3;
mod message;
mod shown;
mod tools;

pub use message::{Message, Role};
pub use shown::Shown;
pub use tools::with_tools;

use crate::tokenizer::Tokenizer;
use crate::variant::Variant;

/// A past question and its answer.
pub type Turn = (String, String);

/// The prompt for `query` after `history` as text, in the form on which `variant` was trained. `None` for ChatGLM3, whose
/// prompts hold role tokens that no text stands for: see [`prompt_ids`].
pub fn build_prompt(variant: Variant, query: &str, history: &[Turn]) -> Option<String> {
    match variant {
        Variant::ChatGlm => Some(chatglm::build_prompt(query, history)),
        Variant::ChatGlm2 => Some(chatglm2::build_prompt(query, history)),
        Variant::ChatGlm3 => None,
    }
}

/// All ids of the prompt for `query` after `history`. A `system` text is a message of its own for ChatGLM3; the others
/// have no such thing, and it goes before the first question, as in their publisher's API server.
pub fn prompt_ids(tokenizer: &Tokenizer, query: &str, history: &[Turn], system: Option<&str>) -> Vec<u32> {
    let variant = tokenizer.variant();
    let Some(system) = system.filter(|_| variant != Variant::ChatGlm3) else {
        return match build_prompt(variant, query, history) {
            Some(text) => tokenizer.encode_prompt(&text),
            None => chatglm3::prompt_ids(tokenizer, &chatglm3::conversation(query, history, system)),
        };
    };
    match history.split_first() {
        None => prompt_ids(tokenizer, &format!("{system}{query}"), &[], None),
        Some(((question, answer), later)) => {
            let first = (format!("{system}{question}"), answer.clone());
            prompt_ids(tokenizer, query, &[&[first], later].concat(), None)
        }
    }
}

/// Ids that continue a conversation whose `past_rounds` rounds are in the key/value cache already, without the token that
/// ended the last answer. `None` for ChatGLM-6B: its context is read in both directions, so that a longer context changes
/// what is in the cache.
pub fn continue_ids(tokenizer: &Tokenizer, query: &str, past_rounds: usize) -> Option<Vec<u32>> {
    match tokenizer.variant() {
        Variant::ChatGlm => None,
        Variant::ChatGlm2 => Some(chatglm2::continue_ids(tokenizer, query, past_rounds)),
        Variant::ChatGlm3 => Some(chatglm3::continue_ids(tokenizer, query, past_rounds)),
    }
}

/// The answer as it is shown to the user: surrounding whitespace and known placeholders are replaced.
pub fn process_response(variant: Variant, response: &str) -> String {
    match variant {
        Variant::ChatGlm => chatglm::process_response(response),
        Variant::ChatGlm2 => chatglm2::process_response(response),
        Variant::ChatGlm3 => chatglm3::process_response(response),
    }
}

/// What Python's `str.strip` takes off: Unicode's whitespace and the four separators U+001C to U+001F.
pub(crate) fn is_python_whitespace(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Fills in what the models say instead of the end of their training data.
fn fill_placeholders(response: &str) -> String {
    response.replace("[[训练时间]]", "2023年")
}
