use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::finite;
use super::python_json::{pretty, round};
use super::{JournalError, Metrics};
use crate::atomic::{self, FileError};

/// transformers' `trainer_state.json`: progress and the whole history of log entries. Loaded again when a run resumes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainerState {
    /// Best value of the metric that chooses the best model.
    pub best_metric: Option<f64>,
    /// Folder of the best model.
    pub best_model_checkpoint: Option<String>,
    /// Epochs passed, not rounded.
    pub epoch: Option<f64>,
    /// Optimizer steps done.
    pub global_step: u64,
    /// Log entries, the oldest first.
    pub log_history: Vec<Metrics>,
    /// Optimizer steps of the whole run.
    pub max_steps: u64,
    /// Epochs begun in the whole run.
    pub num_train_epochs: u64,
    /// Floating-point operations done.
    pub total_flos: f64,
}

impl TrainerState {
    /// The state of a run that begins.
    pub fn new(max_steps: u64, num_train_epochs: u64) -> Self {
        Self { max_steps, num_train_epochs, ..Self::default() }
    }

    /// Adds an entry, completed by `epoch` (2 decimals) and `step`; returns it.
    ///
    /// # Errors
    /// When the epoch is not finite.
    pub fn log(&mut self, mut entry: Metrics) -> Result<&Metrics, JournalError> {
        if let Some(epoch) = self.epoch {
            entry.set_float("epoch", round(epoch, 2))?;
        }
        entry.set_int("step", self.global_step);
        self.log_history.push(entry);
        Ok(&self.log_history[self.log_history.len() - 1])
    }

    /// Adds a training entry: mean loss since the last one (rounded to 4 decimals) and the next step's rate.
    ///
    /// # Errors
    /// When a number is not finite; nothing is added then.
    pub fn log_train(&mut self, mean_loss: f64, learning_rate: f64) -> Result<&Metrics, JournalError> {
        let mut entry = Metrics::new();
        entry.set_float("loss", round(finite("loss", mean_loss)?, 4))?;
        entry.set_float("learning_rate", learning_rate)?;
        self.log(entry)
    }

    /// The file's text.
    ///
    /// # Errors
    /// When a number is not finite.
    pub fn to_json(&self) -> Result<String, JournalError> {
        for (key, value) in
            [("best_metric", self.best_metric), ("epoch", self.epoch), ("total_flos", Some(self.total_flos))]
        {
            finite(key, value.unwrap_or(0.0))?;
        }
        let value = json!({
            "best_metric": self.best_metric,
            "best_model_checkpoint": self.best_model_checkpoint,
            "epoch": self.epoch,
            "global_step": self.global_step,
            "is_hyper_param_search": false,
            "is_local_process_zero": true,
            "is_world_process_zero": true,
            "log_history": self.log_history.iter().map(Metrics::to_value).collect::<Vec<Value>>(),
            "max_steps": self.max_steps,
            "num_train_epochs": self.num_train_epochs,
            "total_flos": self.total_flos,
            "trial_name": null,
            "trial_params": null,
        });
        Ok(pretty(&value, 2) + "\n")
    }

    /// Writes the file at `path` in one instant.
    ///
    /// # Errors
    /// When a number is not finite or the system refuses.
    pub fn save(&self, path: &Path) -> Result<(), JournalError> {
        Ok(atomic::write_file(path, self.to_json()?.as_bytes())?)
    }

    /// Reads a file that this program or transformers wrote. Floats come back exactly as they were.
    ///
    /// # Errors
    /// When the file cannot be read or is not a trainer state; also when it holds Python's `NaN`.
    pub fn load(path: &Path) -> Result<Self, JournalError> {
        let text = fs::read(path).map_err(FileError::at("read", path))?;
        serde_json::from_slice(&text).map_err(JournalError::json(path))
    }
}
