//! What is in a data file, before hours are spent on it.

mod histogram;
mod preview;
mod repeats;
mod report;
mod strings;
mod texts;

use std::path::Path;

pub use histogram::{Bucket, LengthReport};
pub use preview::{ShownSample, ShownToken};
pub use report::{CheckReport, LeftOut, Listing, Repeat, SpecialString};
pub use texts::{TextReport, check_texts};

use crate::batch::TrainRow;
use crate::config::DataConfig;
use crate::error::DataError;
use crate::format::reason;
use crate::preprocess::{Made, Outcome, Purpose, Recorder, Sampler};
use crate::reader::{Row, Rows, SkippedRow, read_rows};
use crate::tokenizer::Tokenizer;
use histogram::Histogram;
use texts::Texts;

/// How much a report shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckOptions {
    /// Samples shown token by token.
    pub samples: usize,
    /// Entries of each list; their number is always whole.
    pub listed: usize,
    /// Rows to look at, from the start of the file; `None`: all.
    pub rows: Option<usize>,
}

impl CheckOptions {
    /// The rows of a file that are looked at.
    fn read(&self, file: &Path) -> Result<(u64, Rows), DataError> {
        let bytes = std::fs::metadata(file).map_err(|source| DataError::Io { file: file.into(), source })?.len();
        let mut rows = read_rows(file, true)?;
        if let Some(most) = self.rows {
            rows.truncate(most);
        }
        Ok((bytes, rows))
    }
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { samples: 3, listed: 20, rows: None }
    }
}

/// Reads a file as training would, broken rows skipped, and reports what it found.
///
/// # Errors
/// What keeps any row from being read: [`DataError::Io`], [`DataError::Format`], [`DataError::Column`] for a column that
/// no row has, [`DataError::NoRoom`] and [`DataError::Config`]. Faults of single rows are in the report.
pub fn check_file(
    file: &Path,
    tokenizer: &Tokenizer,
    config: &DataConfig,
    options: CheckOptions,
) -> Result<CheckReport, DataError> {
    let (bytes, rows) = options.read(file)?;
    let config = DataConfig { lenient: true, ..config.clone() };
    let sampler = Sampler::new(&rows, tokenizer, &config, Purpose::Train)?;
    let mut check = Check::new(&sampler, &rows, &config, options);
    for row in &rows.rows {
        check.row(row, tokenizer);
    }
    Ok(check.finish(bytes, &config))
}

/// A check under way.
struct Check<'a> {
    sampler: &'a Sampler<'a>,
    rows: &'a Rows,
    options: CheckOptions,
    recorder: Recorder,
    broken: Listing<SkippedRow>,
    left_out: Listing<LeftOut>,
    texts: Texts,
    source: Histogram,
    target: Histogram,
    shown: Vec<ShownSample>,
}

impl<'a> Check<'a> {
    fn new(sampler: &'a Sampler<'a>, rows: &'a Rows, config: &DataConfig, options: CheckOptions) -> Self {
        let mut broken = Listing::new(options.listed);
        rows.skipped.iter().for_each(|row| broken.push(row.clone()));
        Self {
            sampler,
            rows,
            options,
            recorder: Recorder::new(rows, config, &sampler.layout),
            broken,
            left_out: Listing::new(options.listed),
            texts: Texts::new(options.listed),
            source: Histogram::default(),
            target: Histogram::default(),
            shown: Vec::new(),
        }
    }

    fn row(&mut self, row: &Row, tokenizer: &Tokenizer) {
        let conversation = self.sampler.conversation(row);
        let made = conversation.as_ref().map_err(reason).and_then(|conversation| {
            self.sampler.train_conversation(conversation, row.index).map_err(|error| reason(&error))
        });
        let (conversation, made) = match (conversation, made) {
            (Ok(conversation), Ok(made)) => (conversation, made),
            (_, Err(reason)) => return self.broken(row, reason),
            (Err(error), _) => return self.broken(row, reason(&error)),
        };
        self.texts.add(&conversation, row.line);
        self.recorder.record(row, &made);
        for made in &made {
            self.sample(row, made, tokenizer);
        }
    }

    fn broken(&mut self, row: &Row, reason: String) {
        self.recorder.broken(row);
        self.broken.push(SkippedRow { index: row.index, line: row.line, reason });
    }

    fn sample(&mut self, row: &Row, made: &Made<TrainRow>, tokenizer: &Tokenizer) {
        let why = match made {
            Made::Sample(sample, outcome) => {
                self.measure(outcome);
                if self.shown.len() < self.options.samples {
                    self.shown.push(ShownSample::of(sample, row.line, tokenizer));
                }
                return;
            }
            Made::Empty => "question or answer is empty".into(),
            Made::Untrainable => "nothing of its answer may be trained, or nothing of its question fits".into(),
            Made::TooLong(outcome, reason) => {
                self.measure(outcome);
                reason.clone()
            }
        };
        self.left_out.push(LeftOut { line: row.line, reason: why });
    }

    fn measure(&mut self, outcome: &Outcome) {
        self.source.add(outcome.prompt_len, outcome.prompt_cut);
        self.target.add(outcome.answer_len, outcome.answer_cut);
    }

    fn finish(self, bytes: u64, config: &DataConfig) -> CheckReport {
        let (duplicates, contradictions) = self.texts.repeats.finish(self.options.listed);
        let mut broken = self.broken;
        broken.first.sort_by_key(|row| row.index);
        CheckReport {
            file: self.rows.file.clone(),
            bytes,
            encoding: self.rows.encoding,
            note: self.rows.note.clone(),
            preprocess: self.recorder.finish(),
            source: self.source.finish(config.max_source_length),
            target: self.target.finish(config.max_target_length),
            broken,
            left_out: self.left_out,
            special_strings: self.texts.special_strings,
            damaged: self.texts.damaged,
            duplicates,
            contradictions,
            shown: self.shown,
        }
    }
}
