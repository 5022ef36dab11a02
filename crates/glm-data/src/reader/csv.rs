//! CSV with a header line. All values are texts; a history column holds JSON.

use std::collections::HashSet;
use std::io::{self, BufRead};

use super::json_value::Json;
use super::row::Columns;
use super::text::TextFile;
use super::{Broken, Sink};
use crate::error::DataError;

pub(super) fn read(text: &TextFile, sink: &mut Sink) -> Result<(), DataError> {
    let mut place = Place { reader: text.open()?, offset: 0, line: 1, quotes: 0 };
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.open()?);
    let mut record = csv::ByteRecord::new();
    let failed = |e: csv::Error| match e.into_kind() {
        csv::ErrorKind::Io(source) => text.io_error(source),
        other => text.format_error(&format!("not CSV: {other:?}")),
    };

    if !reader.read_byte_record(&mut record).map_err(failed)? {
        return Ok(());
    }
    let names = header(&record).map_err(|reason| sink.error(1, reason))?;
    let mut last = None;
    while reader.read_byte_record(&mut record).map_err(failed)? {
        let offset = record.position().map_or(0, csv::Position::byte);
        let line = place.advance(offset).map_err(|e| text.io_error(e))?;
        sink.push(line, columns(&names, &record, line))?;
        last = Some((line, record.iter().any(|field| field.contains(&b'\n'))));
    }
    place.advance(u64::MAX).map_err(|e| text.io_error(e))?;
    // The parser takes a quote that is never closed for a field up to the end of the file, and says nothing.
    if let Some((line, true)) = last
        && place.quotes % 2 == 1
    {
        return Err(sink.error(line, "a quoted field of this row is never closed; double a '\"' that is meant".into()));
    }
    Ok(())
}

fn header(record: &csv::ByteRecord) -> Result<Vec<String>, String> {
    let mut seen = HashSet::new();
    let mut names = Vec::with_capacity(record.len());
    for field in record {
        let name = std::str::from_utf8(field).map_err(|_| "the header is not UTF-8")?.trim().to_string();
        if !seen.insert(name.clone()) {
            return Err(format!("the header names column {name:?} twice"));
        }
        names.push(name);
    }
    Ok(names)
}

fn columns(names: &[String], record: &csv::ByteRecord, line: usize) -> Result<Columns, Broken> {
    let broken = |reason| Err(Broken { line, reason });
    if record.len() != names.len() {
        return broken(format!(
            "expected {} fields as in the header, found {}; a text with ',' or line breaks needs quotes",
            names.len(),
            record.len()
        ));
    }
    let mut columns = Columns::default();
    for (name, field) in names.iter().zip(record) {
        match std::str::from_utf8(field) {
            Ok(value) => columns.0.push((name.clone(), Json::Text(value.into()))),
            Err(_) => return broken(format!("column {name:?} is not UTF-8")),
        }
    }
    Ok(columns)
}

/// Follows the parser through the text and counts lines, which the parser does not do right for `\r\n`, and quotes.
struct Place {
    reader: Box<dyn BufRead>,
    offset: u64,
    line: usize,
    quotes: u64,
}

impl Place {
    /// Moves on to byte `offset` and over the line ends that follow, and returns the line there.
    fn advance(&mut self, offset: u64) -> io::Result<usize> {
        loop {
            let buffer = self.reader.fill_buf()?;
            let before = offset.saturating_sub(self.offset).min(buffer.len() as u64) as usize;
            let line_ends = buffer[before..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            let used = before + line_ends;
            self.line += buffer[..used].iter().filter(|&&b| b == b'\n').count();
            self.quotes += buffer[..used].iter().filter(|&&b| b == b'"').count() as u64;
            let ended = used < buffer.len() || buffer.is_empty();
            self.offset += used as u64;
            self.reader.consume(used);
            if ended {
                return Ok(self.line);
            }
        }
    }
}
