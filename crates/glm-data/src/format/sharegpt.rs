//! ShareGPT's `conversations`: messages with `from` and `value`, perhaps `system` and `tools` beside them.

use super::conversation::{Builder, Conversation, Said};
use super::messages::{field, list, may_be_trained};
use super::{Fault, tools};
use crate::prompt::Role;
use crate::reader::{Json, Row};

pub(super) fn read(row: &Row) -> Result<Conversation, Fault> {
    let mut builder = Builder::default();
    let system = match row.get("system") {
        None | Some(Json::Null) => None,
        Some(Json::Text(text)) => Some(text.as_str()).filter(|text| !text.is_empty()),
        Some(other) => return Err(format!("column \"system\": expected a text, found {}", other.describe()).into()),
    };
    match (tools::tools(row.get("tools"))?, system) {
        (Some(tools), system) => {
            builder.uses_tools();
            builder.push(Said::new(Role::System, tools::describe(system, &tools)))?;
        }
        (None, Some(system)) => builder.push(Said::new(Role::System, system))?,
        (None, None) => {}
    }
    for (i, message) in list(row, "conversations")?.iter().enumerate() {
        let said = said(message).and_then(|said| builder.push(said));
        said.map_err(|reason| format!("message {}: {reason}", i + 1))?;
    }
    Ok(builder.finish()?)
}

fn said(message: &Json) -> Result<Said, String> {
    let value = field(message, "value")?;
    let mut said = match field(message, "from")? {
        "system" => Said::new(Role::System, value),
        "human" | "user" => Said::new(Role::User, value),
        "gpt" | "assistant" | "chatgpt" | "bot" | "model" => Said::new(Role::Assistant, value),
        "observation" | "tool" => Said::new(Role::Observation, value),
        "function_call" => {
            let call: Json =
                serde_json::from_str(value).map_err(|e| format!("\"value\": the call is not JSON ({e})"))?;
            Said::call(field(&call, "name")?, tools::call_of_text(call.get("arguments"))?)
        }
        other => {
            let other: String = other.chars().take(40).collect();
            let known = "system, human, gpt, function_call or observation";
            return Err(format!("\"from\": expected {known}, found {other:?}"));
        }
    };
    said.trained &= may_be_trained(message)?;
    Ok(said)
}
