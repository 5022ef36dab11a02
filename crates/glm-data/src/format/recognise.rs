//! Which format the columns of the rows tell.

use super::columns::Columns;
use super::layout::Format;
use crate::config::DataConfig;
use crate::error::DataError;
use crate::reader::{Json, Row, Rows};

/// Column names longer than this are not compared with what was asked for.
const MAX_COMPARED_CHARS: usize = 64;
/// Pairs of columns by which formats without a list of messages are known.
const PAIRS: [(Format, [&str; 2]); 3] = [
    (Format::Alpaca, ["instruction", "output"]),
    (Format::Chat, ["prompt", "response"]),
    (Format::Columns, ["content", "summary"]),
];

pub(super) fn recognise(rows: &Rows, config: &DataConfig) -> Result<(Format, Columns), DataError> {
    let named = config.prompt_column.is_some() || config.response_column.is_some();
    let format = match config.format {
        Some(format) if named && !matches!(format, Format::Columns | Format::Chat) => {
            let reason = format!("prompt_column and response_column do not apply to {}", format.name());
            return Err(DataError::Config(format!("{reason}; leave out the columns, or the format")));
        }
        Some(format) => format,
        None if named => Format::Columns,
        None => match rows.rows.iter().find_map(format_of) {
            Some(format) => format,
            None => match rows.rows.first() {
                Some(first) => return Err(unknown(rows, first)),
                None => Format::Columns,
            },
        },
    };
    let pair = PAIRS.iter().find(|(f, _)| *f == format).map_or(["", ""], |(_, pair)| *pair);
    let or = |given: &Option<String>, usual: &str| given.clone().unwrap_or_else(|| usual.into());
    let mut columns = Columns {
        prompt: or(&config.prompt_column, pair[0]),
        response: or(&config.response_column, pair[1]),
        history: config.history_column.clone(),
    };
    if pair[0].is_empty() {
        if let Some(history) = &config.history_column {
            let reason = format!("history_column {history:?} does not apply to {}", format.name());
            return Err(DataError::Config(format!("{reason}, whose turns are all in one list; leave it out")));
        }
        return Ok((format, columns));
    }
    let occurs = |name: &str| rows.rows.iter().any(|row| row.get(name).is_some());
    if columns.history.is_none() && !named && format != Format::Columns && occurs("history") {
        columns.history = Some("history".into());
    }
    // A column that not a single row has is a wrong name, not a broken row.
    if let Some(first) = rows.rows.first() {
        let wanted = [&columns.prompt, &columns.response].into_iter().chain(&config.history_column);
        if let Some(name) = wanted.into_iter().find(|name| !occurs(name)) {
            return Err(missing(rows, first, name));
        }
    }
    Ok((format, columns))
}

fn format_of(row: &Row) -> Option<Format> {
    if row.get("messages").is_some() {
        return Some(Format::Messages);
    }
    match row.get("conversations") {
        Some(Json::List(messages)) if messages.first().is_some_and(|message| message.get("from").is_some()) => {
            return Some(Format::ShareGpt);
        }
        // In CSV the list is a text.
        Some(Json::Text(text)) if text.contains("\"from\"") && !text.contains("\"role\"") => {
            return Some(Format::ShareGpt);
        }
        Some(_) => return Some(Format::ChatGlm3),
        None => {}
    }
    PAIRS.iter().find(|(_, pair)| pair.iter().all(|name| row.get(name).is_some())).map(|(format, _)| *format)
}

/// The rows are of no format; if one column of a format is there, the other one is what is missing.
fn unknown(rows: &Rows, first: &Row) -> DataError {
    let near = |name: &str| first.get(name).is_some() || nearest(first, name).is_some();
    for (_, pair) in PAIRS {
        if pair.iter().all(|name| near(name)) || pair.iter().any(|name| first.get(name).is_some()) {
            let absent = pair.iter().find(|name| first.get(name).is_none());
            return missing(rows, first, absent.unwrap_or(&pair[0]));
        }
    }
    let names: Vec<String> = first.names().take(20).map(|name| format!("{name:?}")).collect();
    DataError::Format {
        file: rows.file.clone(),
        reason: format!(
            "the columns {} belong to no known format (content/summary, prompt/response, instruction/output, \
             conversations, messages); name them with prompt_column and response_column",
            names.join(", ")
        ),
    }
}

/// The error of a row without column `name`.
pub(super) fn missing(rows: &Rows, row: &Row, name: &str) -> DataError {
    DataError::Column {
        file: rows.file.clone(),
        line: row.line,
        name: name.into(),
        columns: row.names().map(String::from).collect(),
        nearest: nearest(row, name),
    }
}

/// The column whose name is most like `name`, if one is.
fn nearest(row: &Row, name: &str) -> Option<String> {
    let limit = (name.chars().count() / 3).max(2);
    let short = |column: &&str| column.chars().count() <= MAX_COMPARED_CHARS;
    row.names()
        .filter(short)
        .map(|column| (strsim::osa_distance(&column.to_lowercase(), &name.to_lowercase()), column))
        .filter(|&(distance, _)| distance <= limit)
        .min()
        .map(|(_, column)| column.into())
}
