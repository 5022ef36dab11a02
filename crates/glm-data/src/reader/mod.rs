//! Rows from `.json` (an array, or objects one after another), `.jsonl` and `.csv` files.
//!
//! The content, not the name, tells the format: ADGEN's `dev.json`, for one, is JSON lines. Files are streamed; only the
//! rows themselves are held in memory.

mod csv;
mod json;
mod json_value;
mod jsonl;
mod row;
mod text;

use std::path::Path;

pub use json_value::Json;
pub use row::{Encoding, Row, Rows, SkippedRow};

use crate::error::DataError;
use row::Columns;
use text::TextFile;

/// Longest reason in a message; parsers like to quote whole values.
const MAX_REASON_CHARS: usize = 300;

/// Reads all rows of a data file. With `lenient`, rows that cannot be read are left out and listed in
/// [`Rows::skipped`]; what breaks the file as a whole (an array that is never closed) remains an error.
///
/// UTF-8 with or without byte order mark is expected; a file that is clearly GBK is decoded, with a note in
/// [`Rows::note`].
///
/// # Errors
/// [`DataError::Io`], [`DataError::Format`], [`DataError::Encoding`] and [`DataError::Row`].
pub fn read_rows(file: &Path, lenient: bool) -> Result<Rows, DataError> {
    let text = TextFile::inspect(file, lenient)?;
    let mut sink = Sink { file, lenient, index: 0, rows: Vec::new(), skipped: Vec::new() };
    match text.first_byte() {
        None => return Err(text.format_error("the file is empty; expected rows as JSON, JSON lines or CSV")),
        Some(b'[') => json::read_array(&text, &mut sink)?,
        Some(b'{') if jsonl::has_rows_on_lines(&text)? => jsonl::read(&text, &mut sink)?,
        Some(b'{') => json::read_objects(&text, &mut sink)?,
        Some(other) if is_json_name(file) => {
            let shown = char::from(other).escape_default();
            return Err(text.format_error(&format!("expected '[' or '{{' as the first character, found '{shown}'")));
        }
        Some(_) => csv::read(&text, &mut sink)?,
    }
    let (encoding, note) = (text.encoding(), text.note());
    Ok(Rows { file: file.into(), rows: sink.rows, skipped: sink.skipped, encoding, note })
}

fn is_json_name(file: &Path) -> bool {
    let extension = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
    ["json", "jsonl", "ndjson"].iter().any(|e| extension.eq_ignore_ascii_case(e))
}

/// Collects rows and decides what happens to broken ones.
struct Sink<'a> {
    file: &'a Path,
    lenient: bool,
    index: usize,
    rows: Vec<Row>,
    skipped: Vec<SkippedRow>,
}

/// Why a row is broken, and on which line when that is not where it starts.
struct Broken {
    line: usize,
    reason: String,
}

impl Sink<'_> {
    /// Takes the next row of the file, which starts on `line`.
    fn push(&mut self, line: usize, row: Result<Columns, Broken>) -> Result<(), DataError> {
        let index = self.index;
        self.index += 1;
        match row {
            Ok(columns) => self.rows.push(Row::new(columns, index, line)),
            Err(Broken { line, reason }) if self.lenient => {
                self.skipped.push(SkippedRow { index, line, reason: shorten(reason) });
            }
            Err(Broken { line, reason }) => return Err(self.error(line, reason)),
        }
        Ok(())
    }

    fn error(&self, line: usize, reason: String) -> DataError {
        DataError::Row { file: self.file.into(), line, reason: shorten(reason) }
    }
}

fn shorten(mut reason: String) -> String {
    if let Some((end, _)) = reason.char_indices().nth(MAX_REASON_CHARS) {
        reason.truncate(end);
        reason.push('…');
    }
    reason
}

/// Parses one row that starts on `line`.
fn parse_row(bytes: &[u8], line: usize) -> Result<Columns, Broken> {
    serde_json::from_slice(bytes).map_err(|error| {
        let message = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let reason = message.strip_suffix(&place).unwrap_or(&message);
        Broken { line: line + error.line().saturating_sub(1), reason: format!("column {}: {reason}", error.column()) }
    })
}
