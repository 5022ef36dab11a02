//! JSON arrays, and objects one after another that may span lines.
//!
//! The text is cut into rows by counting brackets outside strings, and each row is then parsed by itself. So one row is
//! in memory at a time, its line is known, and a broken row can be skipped.

use std::io::BufRead;

use super::text::TextFile;
use super::{Broken, Sink, parse_row};
use crate::error::DataError;

/// `[row, row, …]`
pub(super) fn read_array(text: &TextFile, sink: &mut Sink) -> Result<(), DataError> {
    let mut scanner = Scanner::new(text)?;
    scanner.skip_blanks()?;
    scanner.bump();
    let mut row = Vec::new();
    let mut first = true;
    loop {
        match scanner.skip_blanks()? {
            None => return Err(sink.error(scanner.line, "the array is never closed; expected ',' or ']'".into())),
            Some(b']') => break,
            Some(b',') if !first => {
                scanner.bump();
                let next = scanner.skip_blanks()?;
                if matches!(next, Some(b']' | b',')) {
                    return Err(sink.error(scanner.line, "expected a row after ','".into()));
                }
                if next.is_none() {
                    continue;
                }
            }
            Some(b',') => return Err(sink.error(scanner.line, "expected a row before ','".into())),
            Some(_) if first => {}
            Some(other) => {
                let shown = char::from(other).escape_default();
                return Err(sink.error(scanner.line, format!("expected ',' or ']' after a row, found '{shown}'")));
            }
        }
        first = false;
        scanner.push_row(&mut row, sink)?;
    }
    scanner.bump();
    match scanner.skip_blanks()? {
        None => Ok(()),
        Some(_) => Err(sink.error(scanner.line, "extra data after the end of the array".into())),
    }
}

/// `{…} {…} …`
pub(super) fn read_objects(text: &TextFile, sink: &mut Sink) -> Result<(), DataError> {
    let mut scanner = Scanner::new(text)?;
    let mut row = Vec::new();
    while scanner.skip_blanks()?.is_some() {
        scanner.push_row(&mut row, sink)?;
    }
    Ok(())
}

struct Scanner<'a> {
    text: &'a TextFile<'a>,
    reader: Box<dyn BufRead>,
    line: usize,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a TextFile) -> Result<Self, DataError> {
        Ok(Self { text, reader: text.open()?, line: 1 })
    }

    /// Moves to the next byte that is not whitespace and returns it without taking it.
    fn skip_blanks(&mut self) -> Result<Option<u8>, DataError> {
        loop {
            let buffer = self.reader.fill_buf().map_err(|e| self.text.io_error(e))?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let blanks = buffer.iter().take_while(|b| b.is_ascii_whitespace()).count();
            let next = buffer.get(blanks).copied();
            self.line += buffer[..blanks].iter().filter(|&&b| b == b'\n').count();
            self.reader.consume(blanks);
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    /// Takes the byte that [`skip_blanks`](Self::skip_blanks) has found.
    fn bump(&mut self) {
        self.reader.consume(1);
    }

    fn push_row(&mut self, row: &mut Vec<u8>, sink: &mut Sink) -> Result<(), DataError> {
        let line = self.line;
        row.clear();
        match self.take_row(row)? {
            None => sink.push(line, parse_row(row, line)),
            // After this nobody can say where the next row starts.
            Some(Broken { line, reason }) => Err(sink.error(line, reason)),
        }
    }

    /// Copies one value: up to its last bracket, or up to the next separator when it is not an object or a list.
    fn take_row(&mut self, row: &mut Vec<u8>) -> Result<Option<Broken>, DataError> {
        let start = self.line;
        let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
        loop {
            let buffer = self.reader.fill_buf().map_err(|e| self.text.io_error(e))?;
            if buffer.is_empty() {
                let reason = "the row that starts here is never closed";
                return Ok((depth > 0 || in_string).then(|| Broken { line: start, reason: reason.into() }));
            }
            let mut used = buffer.len();
            let mut ended = false;
            for (i, &byte) in buffer.iter().enumerate() {
                if byte == b'\n' {
                    if in_string {
                        let reason = "a text is not closed before the end of the line (a line break inside is \\n)";
                        return Ok(Some(Broken { line: self.line, reason: reason.into() }));
                    }
                    if depth > 0 {
                        self.line += 1;
                    }
                }
                if in_string {
                    in_string = escaped || byte != b'"';
                    escaped = !escaped && byte == b'\\';
                    continue;
                }
                match byte {
                    b'"' => in_string = true,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' if depth > 0 => {
                        depth -= 1;
                        if depth == 0 {
                            (used, ended) = (i + 1, true);
                            break;
                        }
                    }
                    b',' | b']' | b'}' if depth == 0 && !(row.is_empty() && i == 0) => {
                        (used, ended) = (i, true);
                        break;
                    }
                    b if depth == 0 && b.is_ascii_whitespace() => {
                        (used, ended) = (i, true);
                        break;
                    }
                    _ => {}
                }
            }
            row.extend_from_slice(&buffer[..used]);
            self.reader.consume(used);
            if ended {
                return Ok(None);
            }
        }
    }
}
