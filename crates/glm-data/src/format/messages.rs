//! `messages` with `role` and `content`: GLM-4 and OpenAI, tools included.

use std::borrow::Cow;

use super::conversation::{Builder, Conversation, Said};
use super::{Fault, tools};
use crate::prompt::Role;
use crate::reader::{Json, Row};

pub(super) fn read(row: &Row) -> Result<Conversation, Fault> {
    Ok(builder(&list(row, "messages")?, row.get("tools"))?.finish()?)
}

/// The messages of an API request, which end with what is to be answered: of the user, or the result of a tool. `tools` are
/// OpenAI's, beside the messages.
///
/// # Errors
/// Names the message, what was expected there and what was found.
pub fn asked(messages: &[Json], tools: Option<&Json>) -> Result<Conversation, String> {
    builder(messages, tools)?.finish_asked()
}

fn builder(messages: &[Json], tools: Option<&Json>) -> Result<Builder, String> {
    let mut builder = Builder::default();
    let mut described = tools::tools(tools)?;
    let starts_with_system = messages.first().and_then(|m| m.get("role")).and_then(Json::as_text) == Some("system");
    if !starts_with_system && let Some(tools) = described.take() {
        builder.uses_tools();
        builder.push(Said::new(Role::System, tools::describe(None, &tools)))?;
    }
    for (i, message) in messages.iter().enumerate() {
        push(&mut builder, message, &mut described).map_err(|reason| format!("message {}: {reason}", i + 1))?;
    }
    Ok(builder)
}

/// Adds a message; `described` are tools of the row that no system message has told of yet.
pub(super) fn push(builder: &mut Builder, message: &Json, described: &mut Option<Json>) -> Result<(), String> {
    match field(message, "role")? {
        "system" => {
            let mut said = said(message)?;
            // Tools stand in the system message (GLM-4) or beside the messages (OpenAI).
            if let Some(tools) = tools::tools(message.get("tools"))?.or_else(|| described.take()) {
                builder.uses_tools();
                let text = Some(said.content.as_str()).filter(|text| !text.is_empty());
                said.content = tools::describe(text, &tools);
            }
            builder.push(said)
        }
        "tool" => {
            let result = message.get("content").unwrap_or(&Json::Null);
            builder.push(Said::new(Role::Observation, tools::observation(result)))
        }
        "assistant" => match message.get("tool_calls") {
            None | Some(Json::Null) => builder.push(said(message)?),
            Some(Json::List(calls)) if calls.is_empty() => builder.push(said(message)?),
            Some(Json::List(calls)) => {
                if message.get("content").and_then(Json::as_text).is_some_and(|text| !text.is_empty()) {
                    builder.push(said(message)?)?;
                }
                let [call] = calls.as_slice() else {
                    return Err(format!("expected one tool call, found {}; ChatGLM3 calls one at a time", calls.len()));
                };
                let function = call.get("function").unwrap_or(call);
                let code = tools::call_of_text(function.get("arguments"))?;
                let trained = may_be_trained(message)?;
                builder.push(Said { trained, ..Said::call(field(function, "name")?, code) })
            }
            Some(other) => Err(format!("\"tool_calls\": expected a list, found {}", other.describe())),
        },
        _ => builder.push(said(message)?),
    }
}

/// A message with `role`, `content` and perhaps `metadata` (the tool that an assistant's message calls).
fn said(message: &Json) -> Result<Said, String> {
    let role = match field(message, "role")? {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "observation" => Role::Observation,
        other => {
            let known = "system, user, assistant, observation or tool";
            return Err(format!("\"role\": expected {known}, found {:?}", shortened(other)));
        }
    };
    let mut said = Said::new(role, field(message, "content")?);
    said.trained &= may_be_trained(message)?;
    if role == Role::Assistant && message.get("metadata").is_some_and(|value| *value != Json::Null) {
        said.metadata = field(message, "metadata")?.into();
    }
    Ok(said)
}

/// `loss` (ChatGLM3) and `weight` (OpenAI) keep a message of the assistant from being trained.
pub(super) fn may_be_trained(message: &Json) -> Result<bool, String> {
    let loss = match message.get("loss") {
        None | Some(Json::Null) => true,
        Some(Json::Bool(loss)) => *loss,
        Some(other) => return Err(format!("\"loss\": expected true or false, found {}", other.describe())),
    };
    let weight = match message.get("weight") {
        None | Some(Json::Null) => true,
        Some(Json::Number(weight)) if weight.as_f64() == Some(0.0) => false,
        Some(Json::Number(weight)) if weight.as_f64() == Some(1.0) => true,
        Some(other) => return Err(format!("\"weight\": expected 0 or 1, found {}", other.describe())),
    };
    Ok(loss && weight)
}

/// A text in a message.
pub(super) fn field<'a>(message: &'a Json, name: &str) -> Result<&'a str, String> {
    match (message, message.get(name)) {
        (_, Some(Json::Text(text))) => Ok(text),
        (_, Some(other)) => Err(format!("{name:?}: expected a text, found {}", other.describe())),
        (Json::Object(entries), None) => {
            let names: Vec<String> =
                entries.iter().take(10).map(|(name, _)| format!("{:?}", shortened(name))).collect();
            Err(format!("expected {name:?}, found only {}", names.join(", ")))
        }
        (other, None) => Err(format!("expected an object with {name:?}, found {}", other.describe())),
    }
}

/// The list in a column; a text (as in CSV) holds it as JSON.
pub(super) fn list<'a>(row: &'a Row, name: &str) -> Result<Cow<'a, [Json]>, Fault> {
    let expected = |found: String| Fault::Wrong(format!("column {name:?}: expected a list of messages, found {found}"));
    match row.get(name) {
        None => Err(Fault::Missing(name.into())),
        Some(Json::List(entries)) => Ok(Cow::Borrowed(entries)),
        Some(Json::Text(text)) => match serde_json::from_str(text) {
            Ok(Json::List(entries)) => Ok(Cow::Owned(entries)),
            Ok(other) => Err(expected(other.describe())),
            Err(error) => Err(expected(format!("a text that is not JSON ({error})"))),
        },
        Some(other) => Err(expected(other.describe())),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
