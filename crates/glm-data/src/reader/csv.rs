//! CSV with a header line. All values are texts; a history column holds JSON.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{self, Read};
use std::rc::Rc;

use serde_json::Value;

use super::row::Columns;
use super::text::TextFile;
use super::{Broken, Sink};
use crate::error::DataError;

pub(super) fn read(text: &TextFile, sink: &mut Sink) -> Result<(), DataError> {
    let quotes = Rc::new(Cell::new(0));
    let source = QuoteCounter { inner: text.open()?, quotes: quotes.clone() };
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(source);
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
        let line = record.position().map_or(0, |p| p.line() as usize);
        sink.push(line, columns(&names, &record, line))?;
        last = Some((line, record.iter().any(|field| field.contains(&b'\n'))));
    }
    // The parser takes a quote that is never closed for a field up to the end of the file, and says nothing.
    if let Some((line, true)) = last
        && quotes.get() % 2 == 1
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
            Ok(value) => columns.0.push((name.clone(), Value::String(value.into()))),
            Err(_) => return broken(format!("column {name:?} is not UTF-8")),
        }
    }
    Ok(columns)
}

struct QuoteCounter<R> {
    inner: R,
    quotes: Rc<Cell<u64>>,
}

impl<R: Read> Read for QuoteCounter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let found = buffer[..n].iter().filter(|&&b| b == b'"').count() as u64;
        self.quotes.set(self.quotes.get() + found);
        Ok(n)
    }
}
