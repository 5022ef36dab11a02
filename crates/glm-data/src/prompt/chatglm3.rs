//! ChatGLM3: messages that start with the token of their role.

use super::{Message, Role, Turn, fill_placeholders, is_python_whitespace};
use crate::tokenizer::Tokenizer;

const ASSISTANT: &str = "<|assistant|>";

/// Ids of one message: role token, then metadata and line break, then the text. The two parts are encoded on their own.
///
/// # Panics
/// If the tokenizer is not one of ChatGLM3.
pub fn single_message_ids(tokenizer: &Tokenizer, message: &Message) -> Vec<u32> {
    let mut ids = vec![role_id(tokenizer, message.role)];
    ids.extend(tokenizer.encode(&format!("{}\n", message.metadata)));
    ids.extend(tokenizer.encode(&message.content));
    ids
}

/// Ids of a conversation to which the model shall add the next message: `[gMASK] sop`, the messages, `<|assistant|>`.
///
/// # Panics
/// If the tokenizer is not one of ChatGLM3.
pub fn prompt_ids(tokenizer: &Tokenizer, messages: &[Message]) -> Vec<u32> {
    let mut ids = tokenizer.prompt_specials().to_vec();
    ids.extend(messages.iter().flat_map(|message| single_message_ids(tokenizer, message)));
    ids.push(role_id(tokenizer, Role::Assistant));
    ids
}

/// Question, history and system text as messages.
pub fn conversation(query: &str, history: &[Turn], system: Option<&str>) -> Vec<Message> {
    let mut messages: Vec<_> = system.map(|text| Message::new(Role::System, text)).into_iter().collect();
    for (question, answer) in history {
        messages.push(Message::new(Role::User, question));
        messages.push(Message::new(Role::Assistant, answer));
    }
    messages.push(Message::new(Role::User, query));
    messages
}

/// Ids that continue a conversation whose earlier messages are in the key/value cache already; they join up to the same
/// ids as [`prompt_ids`] of the whole. (The official chat repeats `[gMASK] sop` here.)
///
/// # Panics
/// If the tokenizer is not one of ChatGLM3.
pub fn continue_ids(tokenizer: &Tokenizer, query: &str, past_rounds: usize) -> Vec<u32> {
    let mut ids = prompt_ids(tokenizer, &[Message::new(Role::User, query)]);
    if past_rounds > 0 {
        ids.drain(..tokenizer.prompt_specials().len());
    }
    ids
}

/// What the model wrote after `<|assistant|>`, as messages: a first line of metadata, then the text. The model may write
/// more than one message. A text without line break has no metadata (the official class raises).
pub fn parse_response(response: &str) -> Vec<Message> {
    let parse = |part: &str| {
        let (metadata, content) = part.split_once('\n').unwrap_or(("", part));
        let metadata = metadata.trim_matches(is_python_whitespace);
        // Only the text that is meant for people is stripped; what a tool gets stays as it is.
        let content = if metadata.is_empty() { content.trim_matches(is_python_whitespace) } else { content };
        Message { role: Role::Assistant, metadata: metadata.into(), content: content.into() }
    };
    response.split(ASSISTANT).map(parse).collect()
}

/// The answer as it is shown: the last message of [`parse_response`], with the placeholder of the training date filled in.
/// The call of a tool keeps the tool's name as first line.
pub fn process_response(response: &str) -> String {
    match parse_response(response).pop() {
        Some(Message { metadata, content, .. }) if metadata.is_empty() => fill_placeholders(&content),
        Some(Message { metadata, content, .. }) => format!("{metadata}\n{content}"),
        None => String::new(),
    }
}

fn role_id(tokenizer: &Tokenizer, role: Role) -> u32 {
    tokenizer.role_id(role).expect("the caller passes a tokenizer of ChatGLM3")
}
