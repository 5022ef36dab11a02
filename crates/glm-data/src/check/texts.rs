//! What can be said of a file without a vocabulary.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::CheckOptions;
use super::repeats::Repeats;
use super::report::{Listing, Repeat, SpecialString};
use super::strings;
use crate::config::{DataConfig, TrainOn};
use crate::error::DataError;
use crate::format::{Conversation, Format, Layout, reason};
use crate::preprocess::{Example, Lengths};
use crate::reader::{Encoding, SkippedRow};

/// What is in a data file, without what only a vocabulary and its variant can tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TextReport {
    /// The file.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// How its bytes were read.
    pub encoding: Encoding,
    /// Something the user should know about the file.
    pub note: Option<String>,
    /// The format of the rows.
    pub format: Format,
    /// The format and its columns in words.
    pub layout: String,
    /// Rows in the file, broken ones included.
    pub rows_read: usize,
    /// Rows that have a question and an answer.
    pub rows_used: usize,
    /// Rows with an empty question or answer.
    pub empty: usize,
    /// Characters of all texts before an answer, history included.
    pub prompt_characters: Lengths,
    /// Characters of the answers.
    pub answer_characters: Lengths,
    /// Rows that cannot be used, and why.
    pub broken: Listing<SkippedRow>,
    /// Names of special tokens in texts.
    pub special_strings: Listing<SpecialString>,
    /// Lines whose texts hold U+FFFD, the trace of a wrong decoding.
    pub damaged: Listing<usize>,
    /// Rows with the same prompt and the same answer.
    pub duplicates: Listing<Repeat>,
    /// Rows with the same prompt and different answers.
    pub contradictions: Listing<Repeat>,
}

/// As [`check_file`](super::check_file), without a vocabulary: nothing is tokenized, so lengths are in characters. Without
/// `train_on` the last answers alone are measured.
///
/// # Errors
/// What keeps any row from being read, as there.
pub fn check_texts(file: &Path, config: &DataConfig, options: CheckOptions) -> Result<TextReport, DataError> {
    let (bytes, rows) = options.read(file)?;
    let layout = Layout::of(&rows, config)?;
    let mut broken = Listing::new(options.listed);
    rows.skipped.iter().for_each(|row| broken.push(row.clone()));
    let mut texts = Texts::new(options.listed);
    let (mut rows_used, mut empty) = (0, 0);
    let (mut prompts, mut answers) = (Vec::new(), Vec::new());
    for row in &rows.rows {
        let conversation = match layout.conversation(&rows, row) {
            Ok(conversation) => conversation,
            Err(error) => {
                broken.push(SkippedRow { index: row.index, line: row.line, reason: reason(&error) });
                continue;
            }
        };
        texts.add(&conversation, row.line);
        let all = Example::all(&conversation, config.train_on.unwrap_or(TrainOn::LastAnswer));
        let before = answers.len();
        for example in all.iter().filter(|example| !example.is_empty()) {
            prompts.push(example.prompt.iter().map(|said| said.content.chars().count()).sum());
            answers.push(example.answer.content.chars().count());
        }
        if answers.len() > before { rows_used += 1 } else { empty += 1 }
    }
    broken.first.sort_by_key(|row| row.index);
    let (duplicates, contradictions) = texts.repeats.finish(options.listed);
    Ok(TextReport {
        file: rows.file.clone(),
        bytes,
        encoding: rows.encoding,
        note: rows.note.clone(),
        format: layout.format,
        layout: layout.to_string(),
        rows_read: rows.rows.len() + rows.skipped.len(),
        rows_used,
        empty,
        prompt_characters: Lengths::of(prompts),
        answer_characters: Lengths::of(answers),
        broken,
        special_strings: texts.special_strings,
        damaged: texts.damaged,
        duplicates,
        contradictions,
    })
}

/// What the texts of a file tell by themselves.
pub(super) struct Texts {
    pub(super) special_strings: Listing<SpecialString>,
    pub(super) damaged: Listing<usize>,
    pub(super) repeats: Repeats,
}

impl Texts {
    pub(super) fn new(listed: usize) -> Self {
        Self { special_strings: Listing::new(listed), damaged: Listing::new(listed), repeats: Repeats::default() }
    }

    pub(super) fn add(&mut self, conversation: &Conversation, line: usize) {
        strings::special_strings(conversation, line).for_each(|found| self.special_strings.push(found));
        if strings::is_damaged(conversation) {
            self.damaged.push(line);
        }
        self.repeats.add(conversation, line);
    }
}
