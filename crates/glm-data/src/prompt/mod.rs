//! Prompt text of each variant.

pub mod chatglm2;

use crate::variant::Variant;

/// A past question and its answer.
pub type Turn = (String, String);

/// The prompt for `query` after `history`, in the form on which `variant` was trained.
pub fn build_prompt(variant: Variant, query: &str, history: &[Turn]) -> String {
    match variant {
        Variant::ChatGlm | Variant::ChatGlm2 | Variant::ChatGlm3 => chatglm2::build_prompt(query, history),
    }
}

/// The answer as it is shown to the user: surrounding whitespace and known placeholders are replaced.
pub fn process_response(variant: Variant, response: &str) -> String {
    match variant {
        Variant::ChatGlm | Variant::ChatGlm2 | Variant::ChatGlm3 => chatglm2::process_response(response),
    }
}
