//! Prompt, answer and history of a row.

use serde_json::Value;

use crate::config::DataConfig;
use crate::error::DataError;
use crate::prompt::Turn;
use crate::reader::{Row, Rows};

/// Column names longer than this are not compared with what was asked for.
const MAX_COMPARED_CHARS: usize = 64;

/// The texts of a row.
pub(super) struct Example<'a> {
    pub(super) query: &'a str,
    pub(super) answer: &'a str,
    pub(super) history: Vec<Turn>,
}

/// Fails when not a single row has one of the columns: that is a wrong name, not a broken row.
pub(super) fn check_columns(rows: &Rows, config: &DataConfig) -> Result<(), DataError> {
    let Some(first) = rows.rows.first() else { return Ok(()) };
    let history = config.history_column.as_ref();
    for name in [&config.prompt_column, &config.response_column].into_iter().chain(history) {
        if rows.rows.iter().all(|row| row.get(name).is_none()) {
            return Err(missing(rows, first, name));
        }
    }
    Ok(())
}

/// `None` when prompt or answer is empty, as the official script leaves such rows out.
pub(super) fn example<'a>(rows: &Rows, row: &'a Row, config: &DataConfig) -> Result<Option<Example<'a>>, DataError> {
    let query = text(rows, row, &config.prompt_column, config.compat)?;
    let answer = text(rows, row, &config.response_column, config.compat)?;
    if query.is_empty() || answer.is_empty() {
        return Ok(None);
    }
    let history = match &config.history_column {
        // Rows of a chat file often leave out an empty history.
        Some(name) => row.get(name).map_or(Ok(Vec::new()), history).map_err(|found| DataError::Row {
            file: rows.file.clone(),
            line: row.line,
            reason: format!(
                "{}column {name:?}: expected [[question, answer], …] with texts, found {found}",
                place(row)
            ),
        })?,
        None => Vec::new(),
    };
    Ok(Some(Example { query, answer, history }))
}

/// The number of a row that does not stand on the line of that number, as in an array on one line.
fn place(row: &Row) -> String {
    if row.index + 1 == row.line { String::new() } else { format!("row {}: ", row.index + 1) }
}

fn text<'a>(rows: &Rows, row: &'a Row, name: &str, null_is_empty: bool) -> Result<&'a str, DataError> {
    match row.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(Value::Null) if null_is_empty => Ok(""),
        Some(other) => {
            let reason = format!("{}column {name:?}: expected a text, found {}", place(row), describe(other));
            Err(DataError::Row { file: rows.file.clone(), line: row.line, reason })
        }
        None => Err(missing(rows, row, name)),
    }
}

/// The turns, or what was found in their place. A text (as in CSV) holds the list as JSON.
fn history(value: &Value) -> Result<Vec<Turn>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) if text.trim().is_empty() => Ok(Vec::new()),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::String(_)) => Err("a text".into()),
            Ok(parsed) => history(&parsed),
            Err(error) => Err(format!("a text that is not JSON ({error})")),
        },
        Value::Array(turns) => turns.iter().map(turn).collect(),
        other => Err(describe(other)),
    }
}

fn turn(value: &Value) -> Result<Turn, String> {
    match value.as_array().map(Vec::as_slice) {
        Some([Value::String(question), Value::String(answer)]) => Ok((question.clone(), answer.clone())),
        Some([question, answer]) => Err(format!("a turn of {} and {}", describe(question), describe(answer))),
        Some(other) => Err(format!("a turn with {} entries", other.len())),
        None => Err(format!("{} as a turn", describe(value))),
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "a text".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}

fn missing(rows: &Rows, row: &Row, name: &str) -> DataError {
    let limit = (name.chars().count() / 3).max(2);
    let near = |column: &&str| column.chars().count() <= MAX_COMPARED_CHARS;
    let nearest = row
        .names()
        .filter(near)
        .map(|column| (strsim::osa_distance(&column.to_lowercase(), &name.to_lowercase()), column))
        .filter(|&(distance, _)| distance <= limit)
        .min();
    DataError::Column {
        file: rows.file.clone(),
        line: row.line,
        name: name.into(),
        columns: row.names().map(String::from).collect(),
        nearest: nearest.map(|(_, column)| column.into()),
    }
}
