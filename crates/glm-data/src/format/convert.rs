//! Rows of any format written as JSON lines of another.

use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::conversation::{Conversation, Said};
use super::layout::{Layout, reason, row_error};
use super::python::dumps;
use crate::config::DataConfig;
use crate::error::DataError;
use crate::prompt::Role;
use crate::reader::{Row, Rows, SkippedRow};

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConvertTo {
    /// `{"instruction": …, "output": …}`, with `history` and `system` where there are any: the ChatGLM-Tuning scripts.
    Instruct,
    /// `{"messages": [{"role": …, "content": …}, …]}`.
    Messages,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConvertReport {
    /// The format of the rows, in words.
    pub format: String,
    /// Rows in the file, broken ones included.
    pub rows_read: usize,
    /// Rows written, one line each.
    pub rows_written: usize,
    /// Rows that were left out (only with `lenient`).
    pub skipped: Vec<SkippedRow>,
}

/// Why rows could not be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A row or the whole file is at fault.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The result could not be written.
    #[error("the converted rows cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// Writes `rows` to `out`, one line for each row, in the layout that Python's `json.dumps` gives. Rows are written whole:
/// no limit cuts them, and those with an empty question or answer stay.
///
/// # Errors
/// [`ConvertError::Data`] for rows that are no dialogue or cannot be expressed (not with `lenient`), and
/// [`ConvertError::Write`].
pub fn convert(
    rows: &Rows,
    config: &DataConfig,
    to: ConvertTo,
    out: &mut dyn Write,
) -> Result<ConvertReport, ConvertError> {
    let layout = Layout::of(rows, config)?;
    let mut skipped = rows.skipped.clone();
    let mut rows_written = 0;
    for row in &rows.rows {
        match layout.conversation(rows, row).and_then(|conversation| line(rows, row, &conversation, to)) {
            Ok(line) => {
                writeln!(out, "{line}")?;
                rows_written += 1;
            }
            Err(error) if config.lenient => {
                skipped.push(SkippedRow { index: row.index, line: row.line, reason: reason(&error) });
            }
            Err(error) => return Err(error.into()),
        }
    }
    out.flush()?;
    skipped.sort_by_key(|row| row.index);
    let rows_read = rows.rows.len() + rows.skipped.len();
    Ok(ConvertReport { format: layout.to_string(), rows_read, rows_written, skipped })
}

fn line(rows: &Rows, row: &Row, conversation: &Conversation, to: ConvertTo) -> Result<String, DataError> {
    match to {
        ConvertTo::Messages => Ok(dumps(&Messages { messages: &conversation.messages })),
        ConvertTo::Instruct => {
            let instruct = Instruct::of(conversation).map_err(|reason| row_error(rows, row, &reason))?;
            Ok(dumps(&instruct))
        }
    }
}

#[derive(Serialize)]
struct Instruct<'a> {
    instruction: &'a str,
    output: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    history: Vec<(&'a str, &'a str)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<String>,
}

impl<'a> Instruct<'a> {
    fn of(conversation: &'a Conversation) -> Result<Self, String> {
        if conversation.uses_tools {
            return Err("tools cannot be written as instruction and output; convert to messages instead".into());
        }
        let mut said = conversation.messages.iter().filter(|said| said.role != Role::System);
        let mut turns = Vec::new();
        while let (Some(question), Some(answer)) = (said.next(), said.next()) {
            turns.push((question.content.as_str(), answer.content.as_str()));
        }
        let (instruction, output) = turns.pop().ok_or("the dialogue has no answer")?;
        Ok(Self { instruction, output, history: turns, system: conversation.system() })
    }
}

#[derive(Serialize)]
struct Messages<'a> {
    messages: &'a [Said],
}

/// As `messages` are read.
impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("role", self.role.name())?;
        if !self.metadata.is_empty() {
            map.serialize_entry("metadata", &self.metadata)?;
        }
        map.serialize_entry("content", &self.content)?;
        if self.role == Role::Assistant && !self.trained {
            map.serialize_entry("loss", &false)?;
        }
        map.end()
    }
}
