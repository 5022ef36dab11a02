//! From the messages of a request to the ids that the model reads.

use crate::http::error::ApiError;
use crate::models::Answerer;
use glm_data::prompt::Role;
use glm_data::{Json, Tokenizer, chat_ids, format};

/// Ids of the prompt. An adapter that was trained on single questions gets the system text and the last question.
///
/// # Errors
/// Names the message that is not what was expected.
pub fn chat_prompt(
    tokenizer: &Tokenizer,
    answerer: &Answerer,
    messages: Vec<Json>,
    tools: Option<&Json>,
) -> Result<Vec<u32>, ApiError> {
    let wrong = |reason: String| ApiError::invalid("messages", format!("messages: {reason}"));
    let mut plain: Vec<Json> = Vec::with_capacity(messages.len());
    let count = messages.len();
    for (i, message) in messages.into_iter().enumerate() {
        let message = with_text(message).map_err(|reason| wrong(format!("message {}: {reason}", i + 1)))?;
        if (greets(&message, &plain) && i + 1 < count) || plain.last_mut().is_some_and(|last| join(last, &message)) {
            continue;
        }
        plain.push(message);
    }
    let mut conversation = format::asked(&plain, tools).map_err(wrong)?;
    if !answerer.takes_history() {
        let last = conversation.messages.pop();
        conversation.messages.retain(|said| said.role == Role::System);
        conversation.messages.extend(last);
    }
    chat_ids(tokenizer, &conversation, answerer.source_prefix())
        .map_err(|error| ApiError::invalid("tools", error.to_string()))
}

/// The message with its content as one text: OpenAI's clients may send a list of parts, and null beside calls of tools.
fn with_text(message: Json) -> Result<Json, String> {
    let Json::Object(mut fields) = message else { return Ok(message) };
    for (name, value) in &mut fields {
        match (name.as_str(), &*value) {
            ("content", Json::Null) => *value = Json::Text(String::new()),
            ("content", Json::List(parts)) => {
                let texts: Result<Vec<&str>, String> = parts.iter().map(text_of).collect();
                *value = Json::Text(texts?.concat());
            }
            ("role", Json::Text(role)) if role == "developer" => *value = Json::Text("system".into()),
            _ => {}
        }
    }
    Ok(Json::Object(fields))
}

fn text_of(part: &Json) -> Result<&str, String> {
    match (part.get("type").and_then(Json::as_text), part.get("text").and_then(Json::as_text)) {
        (Some("text"), Some(text)) => Ok(text),
        (Some(kind), _) => {
            Err(format!("expected parts of type \"text\", found one of type {kind:?}; these models read texts"))
        }
        (None, _) => Err("expected parts with \"type\" and \"text\"".into()),
    }
}

/// Whether it greets: an answer to nothing, as chat programs put in front, for which the models know no form.
fn greets(message: &Json, before: &[Json]) -> bool {
    let is = |message: &Json, role: &str| message.get("role").and_then(Json::as_text) == Some(role);
    let calls = message.get("tool_calls").is_some_and(|calls| *calls != Json::Null);
    is(message, "assistant") && !calls && before.iter().all(|message| is(message, "system"))
}

/// Adds a question to the one before it: two of them are one of two paragraphs, for the models know no other form. `false`:
/// they are not both questions.
fn join(first: &mut Json, second: &Json) -> bool {
    let of_user = |message: &Json| message.get("role").and_then(Json::as_text) == Some("user");
    if !of_user(first) || !of_user(second) {
        return false;
    }
    let (Json::Object(fields), Some(more)) = (first, second.get("content").and_then(Json::as_text)) else {
        return false;
    };
    // The last of equal names counts, as in `Json::get`.
    let Some((_, Json::Text(text))) = fields.iter_mut().rev().find(|(name, _)| name == "content") else { return false };
    text.push('\n');
    text.push_str(more);
    true
}
