//! Descriptions and calls of tools as texts, in the form on which ChatGLM3-6B was trained.

use super::python::{dumps, dumps_indented, repr};
use crate::reader::Json;

/// The system message that introduces tools.
const INTRODUCTION: &str = "Answer the following questions as best as you can. You have access to the following tools:";

/// The system message that describes `tools`; `text` takes the place of the usual introduction.
pub(super) fn describe(text: Option<&str>, tools: &Json) -> String {
    format!("{}\n{}", text.unwrap_or(INTRODUCTION), dumps_indented(tools))
}

/// The tools of a row: `None` when there are none. A text holds them as JSON.
pub(super) fn tools(value: Option<&Json>) -> Result<Option<Json>, String> {
    match value {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Text(text)) if text.trim().is_empty() => Ok(None),
        Some(Json::Text(text)) => match serde_json::from_str(text) {
            Ok(Json::Text(_)) => Err("\"tools\": expected a list, found a text".into()),
            Ok(parsed) => tools(Some(&parsed)),
            Err(error) => Err(format!("\"tools\": expected a list, found a text that is not JSON ({error})")),
        },
        Some(Json::List(entries)) if entries.is_empty() => Ok(None),
        // The official script takes whatever stands here; a single description is as good as a list of one.
        Some(Json::List(_) | Json::Object(_)) => value.cloned().map_or(Ok(None), |tools| Ok(Some(tools))),
        Some(other) => Err(format!("\"tools\": expected a list, found {}", other.describe())),
    }
}

/// The code with which the assistant calls a tool.
pub(super) fn call(parameters: Option<&Json>) -> Result<String, String> {
    let arguments = match parameters {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Object(entries)) => entries.iter().map(|(name, value)| format!("{name}={}", repr(value))).collect(),
        Some(other) => return Err(format!("expected the parameters as an object, found {}", other.describe())),
    };
    Ok(format!("```python\ntool_call({})\n```", arguments.join(", ")))
}

/// As [`call`]; the parameters may also be JSON in a text, as in OpenAI's messages.
pub(super) fn call_of_text(arguments: Option<&Json>) -> Result<String, String> {
    match arguments {
        Some(Json::Text(text)) if text.trim().is_empty() => call(None),
        Some(Json::Text(text)) => {
            let parsed: Json = serde_json::from_str(text).map_err(|e| format!("the arguments are not JSON ({e})"))?;
            call(Some(&parsed))
        }
        other => call(other),
    }
}

/// What a tool gave back.
pub(super) fn observation(value: &Json) -> String {
    value.as_text().map_or_else(|| dumps(value), Into::into)
}
