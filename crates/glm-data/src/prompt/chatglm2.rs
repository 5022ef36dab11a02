//! ChatGLM2: rounds counted from 1, with blank lines, also without history.

use std::fmt::Write;

use super::Turn;
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
    // Python's whitespace: Unicode's and the four separators U+001C to U+001F.
    let blank = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    response.trim_matches(blank).replace("[[训练时间]]", "2023年")
}

fn push_question(prompt: &mut String, round: usize, question: &str) {
    write!(prompt, "[Round {round}]\n\n问：{question}\n\n答：").expect("writing to a string cannot fail");
}
