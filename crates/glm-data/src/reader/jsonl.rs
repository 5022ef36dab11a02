//! JSON lines: one object on each line. A broken line costs only itself.

use std::io::BufRead;

use serde::de::IgnoredAny;

use super::text::TextFile;
use super::{Sink, parse_row};
use crate::error::DataError;

/// Whether a file that starts with `{` holds a row on each line, and not objects spread over several lines.
pub(super) fn has_rows_on_lines(text: &TextFile) -> Result<bool, DataError> {
    let mut lines = Lines::new(text)?;
    let cut_short = match lines.next()? {
        Some((_, line)) => serde_json::from_slice::<IgnoredAny>(line).is_err_and(|e| e.is_eof()),
        None => return Ok(true),
    };
    // Inside an object the next line would start with a name, so after `{` again the first line is merely broken.
    Ok(!cut_short || lines.next()?.is_none_or(|(_, line)| line.starts_with(b"{")))
}

pub(super) fn read(text: &TextFile, sink: &mut Sink) -> Result<(), DataError> {
    let mut lines = Lines::new(text)?;
    while let Some((number, line)) = lines.next()? {
        sink.push(number, parse_row(line, number))?;
    }
    Ok(())
}

/// Lines that are not blank, with their numbers and without surrounding whitespace.
struct Lines<'a> {
    text: &'a TextFile<'a>,
    reader: Box<dyn BufRead>,
    buffer: Vec<u8>,
    number: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a TextFile) -> Result<Self, DataError> {
        Ok(Self { text, reader: text.open()?, buffer: Vec::new(), number: 0 })
    }

    fn next(&mut self) -> Result<Option<(usize, &[u8])>, DataError> {
        loop {
            self.buffer.clear();
            if self.reader.read_until(b'\n', &mut self.buffer).map_err(|e| self.text.io_error(e))? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(Some((self.number, self.buffer.trim_ascii())));
            }
        }
    }
}
