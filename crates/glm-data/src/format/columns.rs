//! One column with the question, one with the answer, perhaps one with the turns before: ADGEN and the `ptuning/` chat data.

use super::Fault;
use super::conversation::Conversation;
use crate::prompt::Turn;
use crate::reader::{Json, Row};

/// Names of columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) prompt: String,
    pub(super) response: String,
    pub(super) history: Option<String>,
}

pub(super) fn read(row: &Row, columns: &Columns, null_is_empty: bool) -> Result<Conversation, Fault> {
    let query = text(row, &columns.prompt, null_is_empty)?;
    let answer = text(row, &columns.response, null_is_empty)?;
    // A row without question or answer is left out, whatever else is wrong with it.
    let used = !query.is_empty() && !answer.is_empty();
    let history = if used { history(row, columns.history.as_deref())? } else { Vec::new() };
    Ok(Conversation::of_turns(history, query, answer))
}

/// The text in a column.
pub(super) fn text(row: &Row, name: &str, null_is_empty: bool) -> Result<String, Fault> {
    match row.get(name) {
        Some(Json::Text(text)) => Ok(text.clone()),
        Some(Json::Null) if null_is_empty => Ok(String::new()),
        Some(other) => Err(Fault::Wrong(format!("column {name:?}: expected a text, found {}", other.describe()))),
        None => Err(Fault::Missing(name.into())),
    }
}

/// The turns in a column; rows of a chat file often leave out an empty history.
pub(super) fn history(row: &Row, name: Option<&str>) -> Result<Vec<Turn>, Fault> {
    let Some((name, value)) = name.and_then(|name| Some((name, row.get(name)?))) else { return Ok(Vec::new()) };
    turns(value).map_err(|found| {
        Fault::Wrong(format!("column {name:?}: expected [[question, answer], …] with texts, found {found}"))
    })
}

/// The turns, or what was found in their place. A text (as in CSV) holds the list as JSON.
fn turns(value: &Json) -> Result<Vec<Turn>, String> {
    match value {
        Json::Null => Ok(Vec::new()),
        Json::Text(text) if text.trim().is_empty() => Ok(Vec::new()),
        Json::Text(text) => match serde_json::from_str(text) {
            Ok(Json::Text(_)) => Err("a text".into()),
            Ok(parsed) => turns(&parsed),
            Err(error) => Err(format!("a text that is not JSON ({error})")),
        },
        Json::List(entries) => entries.iter().map(turn).collect(),
        other => Err(other.describe()),
    }
}

fn turn(value: &Json) -> Result<Turn, String> {
    match value {
        Json::List(pair) => match pair.as_slice() {
            [Json::Text(question), Json::Text(answer)] => Ok((question.clone(), answer.clone())),
            [question, answer] => Err(format!("a turn of {} and {}", question.describe(), answer.describe())),
            other => Err(format!("a turn with {} entries", other.len())),
        },
        other => Err(format!("{} as a turn", other.describe())),
    }
}
