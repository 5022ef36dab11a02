use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::finite;
use super::python_json::{pretty, round};
use super::{JournalError, Metrics};
use crate::atomic::{self, FileError};

/// Which part of a run a results file is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Training.
    Train,
    /// Evaluation on the validation file.
    Eval,
    /// Prediction on the test file.
    Predict,
}

impl Split {
    /// Prefix of the metrics and of the file's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Eval => "eval",
            Self::Predict => "predict",
        }
    }
}

/// What is known at the end of training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainSummary {
    /// Epochs passed.
    pub epoch: f64,
    /// Mean loss over all steps.
    pub train_loss: f64,
    /// Wall time.
    pub runtime: Duration,
    /// Rows of the training set.
    pub samples: u64,
    /// Rows seen ([`crate::schedule::RunLength::samples_seen`]).
    pub samples_seen: f64,
    /// Optimizer steps of the run.
    pub steps: u64,
    /// Floating-point operations done.
    pub total_flos: f64,
}

impl TrainSummary {
    /// Content of `train_results.json`.
    ///
    /// # Errors
    /// When a number is not finite.
    pub fn results(&self) -> Result<Metrics, JournalError> {
        let mut metrics = self.common()?;
        metrics.set_float("epoch", round(finite("epoch", self.epoch)?, 2))?;
        metrics.set_int("train_samples", self.samples);
        Ok(metrics)
    }

    /// Last entry of the history, for [`super::TrainerState::log`].
    ///
    /// # Errors
    /// When a number is not finite.
    pub fn log_entry(&self) -> Result<Metrics, JournalError> {
        let mut metrics = self.common()?;
        metrics.set_float("total_flos", self.total_flos)?;
        Ok(metrics)
    }

    fn common(&self) -> Result<Metrics, JournalError> {
        let mut metrics = Metrics::new();
        metrics.set_float("train_loss", self.train_loss)?;
        set_speed(&mut metrics, Split::Train, self.runtime, self.samples_seen, self.steps)?;
        Ok(metrics)
    }
}

/// Metrics of an evaluation or prediction: `{split}_{name}` for every score (for example `loss`, or `bleu-4`), and speed.
///
/// # Errors
/// When a number is not finite.
pub fn split_metrics(
    split: Split,
    scores: &[(&str, f64)],
    runtime: Duration,
    samples: u64,
    batches: u64,
) -> Result<Metrics, JournalError> {
    let mut metrics = Metrics::new();
    for (name, value) in scores {
        metrics.set_float(&format!("{}_{name}", split.name()), *value)?;
    }
    set_speed(&mut metrics, split, runtime, samples as f64, batches)?;
    metrics.set_int(&format!("{}_samples", split.name()), samples);
    Ok(metrics)
}

fn set_speed(m: &mut Metrics, split: Split, runtime: Duration, samples: f64, steps: u64) -> Result<(), JournalError> {
    let split = split.name();
    // The clock may not have moved; a rate is a number all the same.
    let seconds = runtime.as_secs_f64().max(1e-6);
    m.set_float(&format!("{split}_runtime"), round(runtime.as_secs_f64(), 4))?;
    m.set_float(&format!("{split}_samples_per_second"), round(finite("samples", samples)? / seconds, 3))?;
    m.set_float(&format!("{split}_steps_per_second"), round(steps as f64 / seconds, 3))
}

/// Place of `{split}_results.json`.
pub fn results_path(output_dir: &Path, split: Split) -> PathBuf {
    output_dir.join(format!("{}_results.json", split.name()))
}

/// Writes `{split}_results.json` and merges the same numbers into `all_results.json`.
///
/// # Errors
/// When the system refuses, or an `all_results.json` that is there is not a json object.
pub fn save_results(output_dir: &Path, split: Split, metrics: &Metrics) -> Result<(), JournalError> {
    let all_path = output_dir.join("all_results.json");
    let mut all: Metrics = match fs::read(&all_path) {
        Ok(text) => serde_json::from_slice(&text).map_err(JournalError::json(&all_path))?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Metrics::new(),
        Err(e) => return Err(FileError::at("read", &all_path)(e).into()),
    };
    all.merge(metrics);
    atomic::write_file(&results_path(output_dir, split), pretty(&metrics.to_value(), 4).as_bytes())?;
    atomic::write_file(&all_path, pretty(&all.to_value(), 4).as_bytes())?;
    Ok(())
}
