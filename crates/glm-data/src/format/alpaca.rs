//! `instruction`, `input`, `output`, perhaps `history` and `system`: alpaca.

use serde::{Deserialize, Serialize};

use super::Fault;
use super::columns::{history, text};
use super::conversation::{Conversation, Said};
use crate::prompt::Role;
use crate::reader::{Json, Row};

/// How `instruction` and `input` become one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlpacaJoin {
    /// The input on a line of its own, unless it is blank: the ChatGLM-Tuning scripts.
    #[default]
    Newline,
    /// The input right behind the instruction: ChatGLM-Efficient-Tuning.
    Nothing,
}

pub(super) fn read(
    row: &Row,
    history_column: Option<&str>,
    join: AlpacaJoin,
    null_is_empty: bool,
) -> Result<Conversation, Fault> {
    let mut query = text(row, "instruction", null_is_empty)?;
    match row.get("input") {
        None | Some(Json::Null) => {}
        // An input that is not blank is taken with the blanks around it.
        Some(Json::Text(input)) if join == AlpacaJoin::Nothing => query.push_str(input),
        Some(Json::Text(input)) if input.trim().is_empty() => {}
        Some(Json::Text(input)) => query.extend(["\n", input.as_str()]),
        Some(other) => {
            return Err(Fault::Wrong(format!("column \"input\": expected a text, found {}", other.describe())));
        }
    }
    let answer = text(row, "output", null_is_empty)?;
    // A row without question or answer is left out, whatever else is wrong with it.
    let used = !query.is_empty() && !answer.is_empty();
    let turns = match history(row, history_column) {
        Err(_) if !used => Vec::new(),
        turns => turns?,
    };
    let mut conversation = Conversation::of_turns(turns, query, answer);
    match row.get("system") {
        None | Some(Json::Null) => {}
        Some(Json::Text(system)) if system.is_empty() => {}
        Some(Json::Text(system)) => conversation.messages.insert(0, Said::new(Role::System, system)),
        Some(_) if !used => {}
        Some(other) => {
            return Err(Fault::Wrong(format!("column \"system\": expected a text, found {}", other.describe())));
        }
    }
    Ok(conversation)
}
