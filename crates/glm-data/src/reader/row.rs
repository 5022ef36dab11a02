//! Rows and their columns.

use std::fmt;
use std::path::PathBuf;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::json_value::Json;

/// One row of a data file: its columns in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    columns: Columns,
    /// 0-based number in the file, broken rows included.
    pub index: usize,
    /// 1-based line on which the row starts.
    pub line: usize,
}

impl Row {
    pub(super) fn new(columns: Columns, index: usize, line: usize) -> Self {
        Self { columns, index, line }
    }

    /// The value of a column; of the last one when a name occurs twice, as in Python.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.columns.0.iter().rev().find(|(column, _)| column == name).map(|(_, value)| value)
    }

    /// Names of the columns, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.0.iter().map(|(name, _)| name.as_str())
    }

    /// Columns and values, in order.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.columns.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// All rows of a file that could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// The file, for messages.
    pub file: PathBuf,
    /// The rows, in order.
    pub rows: Vec<Row>,
    /// Rows that were left out because they are broken (only when that was allowed).
    pub skipped: Vec<SkippedRow>,
    /// How the file's bytes were read.
    pub encoding: Encoding,
    /// Something the user should know about the file, such as that it is in GBK.
    pub note: Option<String>,
}

impl Rows {
    /// Keeps the first `n` rows (`max_train_samples` and its like), and of the skipped ones those that stand before the last
    /// of them.
    pub fn truncate(&mut self, n: usize) {
        if n < self.rows.len() {
            self.rows.truncate(n);
            let end = self.rows.last().map_or(0, |row| row.index);
            self.skipped.retain(|row| row.index < end);
        }
    }
}

/// How the bytes of a data file were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-8 with a byte order mark, which is not part of the text.
    Utf8Bom,
    /// GBK, decoded on the way.
    Gbk,
}

/// A row that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedRow {
    /// 0-based number in the file.
    pub index: usize,
    /// 1-based line.
    pub line: usize,
    /// Why.
    pub reason: String,
}

/// Names and values in file order.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Columns(pub(super) Vec<(String, Json)>);

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ColumnsVisitor;
        impl<'de> Visitor<'de> for ColumnsVisitor {
            type Value = Columns;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object with the columns of a row")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Columns, A::Error> {
                let mut columns = Columns::default();
                while let Some(entry) = map.next_entry()? {
                    columns.0.push(entry);
                }
                Ok(columns)
            }
        }
        deserializer.deserialize_map(ColumnsVisitor)
    }
}
