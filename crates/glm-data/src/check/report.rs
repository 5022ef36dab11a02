//! What a check found.

use std::path::PathBuf;

use serde::Serialize;

use super::histogram::LengthReport;
use super::preview::ShownSample;
use crate::preprocess::PreprocessReport;
use crate::prompt::Role;
use crate::reader::{Encoding, SkippedRow};

/// What is in a data file, and what training would make of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// The file.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// How its bytes were read.
    pub encoding: Encoding,
    /// Something the user should know about the file.
    pub note: Option<String>,
    /// Format, rows and samples, as training reports them.
    pub preprocess: PreprocessReport,
    /// Tokens of prompts, special tokens included, before any cut.
    pub source: LengthReport,
    /// Tokens of answers before any cut, without the end token.
    pub target: LengthReport,
    /// Rows that cannot be used, and why.
    pub broken: Listing<SkippedRow>,
    /// Answers that became no sample, and why.
    pub left_out: Listing<LeftOut>,
    /// Names of special tokens in texts.
    pub special_strings: Listing<SpecialString>,
    /// Lines whose texts hold U+FFFD, the trace of a wrong decoding.
    pub damaged: Listing<usize>,
    /// Rows with the same prompt and the same answer.
    pub duplicates: Listing<Repeat>,
    /// Rows with the same prompt and different answers.
    pub contradictions: Listing<Repeat>,
    /// The first samples, token by token.
    pub shown: Vec<ShownSample>,
}

/// The first entries of a list, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing<T> {
    /// All entries.
    pub count: usize,
    /// The first ones.
    pub first: Vec<T>,
    #[serde(skip)]
    most: usize,
}

impl<T> Listing<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { count: 0, first: Vec::new(), most }
    }

    pub(super) fn push(&mut self, entry: T) {
        self.count += 1;
        if self.first.len() < self.most {
            self.first.push(entry);
        }
    }
}

/// An answer that became no sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// 1-based line.
    pub line: usize,
    /// Why.
    pub reason: String,
}

/// The name of a special token in a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpecialString {
    /// 1-based line.
    pub line: usize,
    /// Whose text it is in.
    pub role: Role,
    /// The name.
    pub text: String,
}

/// Rows that ask the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repeat {
    /// Their 1-based lines, in order.
    pub lines: Vec<usize>,
}
