//! ChatGLM-6B: rounds counted from 0, on single lines, and none at all without history.

use std::fmt::Write;

use super::{Turn, fill_placeholders, is_python_whitespace};

/// The whole conversation as one prompt; a question without history is its own prompt.
pub fn build_prompt(query: &str, history: &[Turn]) -> String {
    if history.is_empty() { query.into() } else { build_rounds(query, history) }
}

/// As [`build_prompt`], but in the form of rounds even without history. The official training script does so for every
/// row as soon as the data has a history column.
pub fn build_rounds(query: &str, history: &[Turn]) -> String {
    let mut prompt = String::new();
    for (i, (question, answer)) in history.iter().enumerate() {
        push_question(&mut prompt, i, question);
        prompt.push_str(answer);
        prompt.push('\n');
    }
    push_question(&mut prompt, history.len(), query);
    prompt
}

/// The answer as it is shown: stripped, with the placeholder of the training date filled in, and with full-width
/// punctuation beside Chinese characters.
pub fn process_response(response: &str) -> String {
    let response = fill_placeholders(response.trim_matches(is_python_whitespace));
    let is_chinese = |c: Option<char>| c.is_some_and(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    let mut shown = String::with_capacity(response.len());
    let mut chars = response.chars().peekable();
    let mut before = None;
    while let Some(c) = chars.next() {
        let wide = if is_chinese(before) || is_chinese(chars.peek().copied()) { full_width(c) } else { None };
        shown.push(wide.unwrap_or(c));
        before = Some(c);
    }
    shown
}

fn full_width(c: char) -> Option<char> {
    match c {
        ',' => Some('，'),
        '!' => Some('！'),
        ':' => Some('：'),
        ';' => Some('；'),
        '?' => Some('？'),
        _ => None,
    }
}

fn push_question(prompt: &mut String, round: usize, question: &str) {
    write!(prompt, "[Round {round}]\n问：{question}\n答：").expect("writing to a string cannot fail");
}
