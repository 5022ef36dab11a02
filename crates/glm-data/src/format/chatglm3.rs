//! ChatGLM3's `conversations`: messages with `role` and `content`, tool turns with call and result in one, and `tools`.

use super::conversation::{Builder, Conversation, Said};
use super::messages::{self, field, list, may_be_trained};
use super::{Fault, tools};
use crate::prompt::Role;
use crate::reader::{Json, Row};

pub(super) fn read(row: &Row) -> Result<Conversation, Fault> {
    let mut builder = Builder::default();
    if let Some(tools) = tools::tools(row.get("tools"))? {
        builder.uses_tools();
        builder.push(Said::new(Role::System, tools::describe(None, &tools)))?;
    }
    for (i, message) in list(row, "conversations")?.iter().enumerate() {
        push(&mut builder, message).map_err(|reason| format!("message {}: {reason}", i + 1))?;
    }
    Ok(builder.finish()?)
}

fn push(builder: &mut Builder, message: &Json) -> Result<(), String> {
    // A message with a result alone is as in `messages`.
    if field(message, "role")? != "tool" || message.get("name").is_none() {
        return messages::push(builder, message, &mut None);
    }
    let call = tools::call(message.get("parameters"))?;
    let trained = may_be_trained(message)?;
    builder.push(Said { trained, ..Said::call(field(message, "name")?, call) })?;
    // The official script writes a result that is missing as null too.
    let result = tools::observation(message.get("observation").unwrap_or(&Json::Null));
    builder.push(Said::new(Role::Observation, result))
}
