//! The rows of a run: read, tokenized, and what became of them said.

use crate::cmd::predict;
use crate::config::RunConfig;
use anyhow::Context;
use glm_data::{DataConfig, PreprocessReport, Rows, Tokenizer, TrainRow, read_rows, train_rows};
use std::path::Path;

/// The rows of a run.
pub struct Data {
    /// Rows to train on.
    pub train: Option<Samples>,
    /// Rows of the evaluation loss.
    pub eval: Option<Samples>,
    /// Rows to answer.
    pub predict: predict::PredictRows,
}

impl Data {
    /// Reads what the settings ask for.
    ///
    /// # Errors
    /// Names file, line and reason.
    pub fn read(settings: &RunConfig, tokenizer: &Tokenizer) -> anyhow::Result<Self> {
        let (files, data) = (&settings.files, &settings.data);
        let train = files.train.as_deref().filter(|_| settings.do_train);
        let eval = files.validation.as_deref().filter(|_| settings.do_eval);
        let eval_data = DataConfig { max_target_length: settings.val_max_target_length, ..data.clone() };
        Ok(Self {
            train: train.map(|file| samples(file, settings.samples.train, tokenizer, data)).transpose()?,
            eval: eval.map(|file| samples(file, settings.samples.eval, tokenizer, &eval_data)).transpose()?,
            predict: predict::rows(settings, tokenizer)?,
        })
    }
}

/// A file of rows.
pub struct Samples {
    /// As they lie in the file.
    pub rows: Rows,
    /// Tokenized.
    pub samples: Vec<TrainRow>,
}

/// Reads and tokenizes a file of rows, and says what became of them.
fn samples(file: &Path, limit: Option<usize>, tokenizer: &Tokenizer, config: &DataConfig) -> anyhow::Result<Samples> {
    let rows = limited(file, limit, config.lenient)?;
    let (samples, report) = train_rows(&rows, tokenizer, config)?;
    say(file, &rows, &report);
    Ok(Samples { rows, samples })
}

/// The tokenized training rows of a run.
///
/// # Errors
/// Names file, line and reason.
pub fn training_rows(settings: &RunConfig, tokenizer: &Tokenizer) -> anyhow::Result<Vec<TrainRow>> {
    let file = settings.files.train.as_deref().context("--train_file is missing: its rows decide memory and time")?;
    Ok(samples(file, settings.samples.train, tokenizer, &settings.data)?.samples)
}

/// The first `limit` rows of a file.
///
/// # Errors
/// Names file, line and reason.
pub fn limited(file: &Path, limit: Option<usize>, lenient: bool) -> anyhow::Result<Rows> {
    let mut rows = read_rows(file, lenient)?;
    if let Some(limit) = limit {
        rows.truncate(limit);
    }
    Ok(rows)
}

/// Says what became of the rows of a file.
pub fn say(file: &Path, rows: &Rows, report: &PreprocessReport) {
    if let Some(note) = &rows.note {
        eprintln!("note: {note}");
    }
    eprintln!("{}: {report}", file.display());
}
