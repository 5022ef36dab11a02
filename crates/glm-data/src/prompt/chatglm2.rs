//! ChatGLM2: rounds counted from 1, with blank lines, also without history.

use std::fmt::Write;

use super::{Turn, fill_placeholders, is_python_whitespace};
use crate::tokenizer::Tokenizer;

/// The whole conversation as one prompt.
pub fn build_prompt(query: &str, history: &[Turn]) -> String {
    let mut prompt = String::new();
    for (i, (question, answer)) in history.iter().enumerate() {
        push_question(&mut prompt, i + 1, question);
        prompt.push_str(answer);
        prompt.push_str("\n\n");
    }
    push_question(&mut prompt, history.len() + 1, query);
    prompt
}

/// Ids that continue a conversation whose `past_rounds` earlier rounds are in the key/value cache already. The first
/// round is a whole prompt; a later one starts with the blank line that ends the answer before it.
pub fn continue_ids(tokenizer: &Tokenizer, query: &str, past_rounds: usize) -> Vec<u32> {
    if past_rounds == 0 {
        return tokenizer.encode_prompt(&build_prompt(query, &[]));
    }
    let mut prompt = String::from("\n\n");
    push_question(&mut prompt, past_rounds + 1, query);
    let mut ids = tokenizer.encode(&prompt);
    // The blank before the text belongs to its beginning, not to the middle of a conversation.
    ids.remove(0);
    ids
}

/// The answer as it is shown: stripped, with the placeholder of the training date filled in.
pub fn process_response(response: &str) -> String {
    fill_placeholders(response.trim_matches(is_python_whitespace))
}

fn push_question(prompt: &mut String, round: usize, question: &str) {
    write!(prompt, "[Round {round}]\n\n问：{question}\n\n答：").expect("writing to a string cannot fail");
}
