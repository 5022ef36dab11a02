//! The format of a file, and its rows as dialogues.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::columns::Columns;
use super::conversation::Conversation;
use super::recognise::missing;
use super::{AlpacaJoin, Fault, alpaca, chatglm3, columns, messages, recognise, sharegpt};
use crate::config::DataConfig;
use crate::error::DataError;
use crate::reader::{Row, Rows};

/// A data format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Named columns, or those of AdvertiseGen: `content` and `summary`.
    Columns,
    /// `prompt`, `response` and perhaps `history`, as the chat data of ChatGLM-6B and ChatGLM2-6B.
    Chat,
    /// `instruction`, `input`, `output` and perhaps `history`.
    Alpaca,
    /// `conversations` of messages with `role`, as ChatGLM3-6B's, and perhaps `tools`.
    ChatGlm3,
    /// `messages`, as GLM-4's and OpenAI's.
    Messages,
    /// `conversations` of messages with `from` and `value`.
    ShareGpt,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 6] =
        [Self::Columns, Self::Chat, Self::Alpaca, Self::ChatGlm3, Self::Messages, Self::ShareGpt];

    /// Name and columns in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Columns => "question and answer columns",
            Self::Chat => "chat rows (prompt, response, history)",
            Self::Alpaca => "alpaca rows (instruction, input, output)",
            Self::ChatGlm3 => "ChatGLM3 conversations (role, content)",
            Self::Messages => "messages as of GLM-4 and OpenAI (role, content)",
            Self::ShareGpt => "ShareGPT conversations (from, value)",
        }
    }
}

/// How to read the rows of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The format.
    pub format: Format,
    columns: Columns,
    join: AlpacaJoin,
    null_is_empty: bool,
}

impl Layout {
    /// The layout of a file: the columns that the configuration names, or else the format that the rows' columns tell.
    ///
    /// # Errors
    /// [`DataError::Column`] when no row has a column that was asked for, [`DataError::Format`] when the columns belong
    /// to no known format, and [`DataError::Config`] for settings that contradict the format.
    pub fn of(rows: &Rows, config: &DataConfig) -> Result<Self, DataError> {
        let (format, columns) = recognise::recognise(rows, config)?;
        Ok(Self { format, columns, join: config.alpaca_join, null_is_empty: config.compat })
    }

    /// Whether turns before the question may be given in a column of their own.
    pub fn has_history_column(&self) -> bool {
        matches!(self.format, Format::Columns | Format::Chat | Format::Alpaca) && self.columns.history.is_some()
    }

    /// The dialogue of a row.
    ///
    /// # Errors
    /// [`DataError::Column`] and [`DataError::Row`] say what was expected and found.
    pub fn conversation(&self, rows: &Rows, row: &Row) -> Result<Conversation, DataError> {
        let read = match self.format {
            Format::Columns | Format::Chat => columns::read(row, &self.columns, self.null_is_empty),
            Format::Alpaca => alpaca::read(row, self.columns.history.as_deref(), self.join, self.null_is_empty),
            Format::ChatGlm3 => chatglm3::read(row),
            Format::Messages => messages::read(row),
            Format::ShareGpt => sharegpt::read(row),
        };
        read.map_err(|fault| match fault {
            Fault::Missing(name) => missing(rows, row, &name),
            Fault::Wrong(reason) => row_error(rows, row, &reason),
        })
    }
}

/// The format, and the columns where they could be others.
impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.format.name())?;
        if self.format == Format::Columns {
            write!(f, ": {:?} and {:?}", self.columns.prompt, self.columns.response)?;
        }
        match &self.columns.history {
            Some(history) if self.has_history_column() => write!(f, ", history in {history:?}"),
            _ => Ok(()),
        }
    }
}

/// An error of a row, which also names the row where its number is not that of its line.
pub(crate) fn row_error(rows: &Rows, row: &Row, reason: &str) -> DataError {
    let place = if row.index + 1 == row.line { String::new() } else { format!("row {}: ", row.index + 1) };
    DataError::Row { file: rows.file.clone(), line: row.line, reason: format!("{place}{reason}") }
}

/// What an error of a row says, without file and line.
pub(crate) fn reason(error: &DataError) -> String {
    match error {
        DataError::Row { reason, .. } => reason.clone(),
        DataError::Column { file, line, .. } => {
            let (message, place) = (error.to_string(), format!("{} line {line}: ", file.display()));
            message.strip_prefix(&place).map(String::from).unwrap_or(message)
        }
        other => other.to_string(),
    }
}
