//! What can go wrong between a file and a batch.

use std::path::PathBuf;

/// An error of this crate. Every message names the file, the place in it and what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system could not read a file.
    #[error("{}: cannot be read: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not the SentencePiece model that the variant needs.
    #[error("{}: not a usable tokenizer: {reason}", file.display())]
    Tokenizer {
        /// The file, or `tokenizer.model` when it was read from memory.
        file: PathBuf,
        /// What was expected and found.
        reason: String,
    },
    /// A data file is of no format that can be read.
    #[error("{}: {reason}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// What was expected and found.
        reason: String,
    },
    /// A data file holds bytes that are not text.
    #[error("{} line {line}, byte {offset}: invalid UTF-8; {hint}", file.display())]
    Encoding {
        /// The file.
        file: PathBuf,
        /// 1-based line.
        line: usize,
        /// 0-based byte in the file.
        offset: u64,
        /// What to do.
        hint: String,
    },
    /// A row cannot be used.
    #[error("{} line {line}: {reason}", file.display())]
    Row {
        /// The file.
        file: PathBuf,
        /// 1-based line on which the row starts, or the broken spot when it is known.
        line: usize,
        /// What was expected and found.
        reason: String,
    },
    /// A row lacks a column that was asked for.
    #[error("{} line {line}: no column {name:?}; the row has {}{}", file.display(), list(columns), suggest(nearest))]
    Column {
        /// The file.
        file: PathBuf,
        /// 1-based line on which the row starts.
        line: usize,
        /// The column that was asked for.
        name: String,
        /// The columns of the row.
        columns: Vec<String>,
        /// The column whose name is most like `name`.
        nearest: Option<String>,
    },
    /// A length limit leaves no room for what every prompt holds.
    #[error(
        "max_source_length {limit} is too short: special tokens, source_prefix and the {variant} template alone take \
         {needed} tokens; raise it above that"
    )]
    NoRoom {
        /// `max_source_length`.
        limit: usize,
        /// Tokens of a prompt without a question.
        needed: usize,
        /// Name of the model variant.
        variant: &'static str,
    },
    /// A setting has a value that no row can satisfy.
    #[error("{0}")]
    Config(String),
    /// After all rows were looked at, none is left.
    #[error("{}: no usable row: {summary}", file.display())]
    NoRows {
        /// The file.
        file: PathBuf,
        /// What became of the rows.
        summary: String,
    },
}

/// A readable list of column names, shortened when a hostile row has very many.
fn list(columns: &[String]) -> String {
    const SHOWN: usize = 20;
    if columns.is_empty() {
        return "no columns".into();
    }
    let mut names: Vec<String> = columns.iter().take(SHOWN).map(|c| format!("{c:?}")).collect();
    if columns.len() > SHOWN {
        names.push(format!("and {} more", columns.len() - SHOWN));
    }
    names.join(", ")
}

fn suggest(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|n| format!("; did you mean {n:?}?")).unwrap_or_default()
}
