use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::JournalError;
use super::error::finite;
use super::python_json::{ordered_line, round};
use crate::atomic::{self, FileError};

/// What one line of the log says; absent numbers are written as `null`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LogLine {
    /// Optimizer steps done.
    pub step: u64,
    /// Training loss.
    pub loss: Option<f64>,
    /// Validation loss.
    pub eval_loss: Option<f64>,
    /// Rate of the next step.
    pub learning_rate: Option<f64>,
    /// Epochs passed.
    pub epoch: Option<f64>,
    /// Wall time since the process began to train.
    pub elapsed: Duration,
}

/// `trainer_log.jsonl`: one json object a line, in the form that ChatGLM-Efficient-Tuning's web page reads.
#[derive(Debug)]
pub struct TrainerLog {
    path: PathBuf,
    file: File,
    total_steps: u64,
    first_step: u64,
}

impl TrainerLog {
    /// Begins the log, or continues it after `resumed_at` steps: lines of later steps, which will be done again, and a
    /// line that a kill cut off are dropped then.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(path: &Path, total_steps: u64, resumed_at: Option<u64>) -> Result<Self, JournalError> {
        let kept = match (resumed_at, fs::read_to_string(path)) {
            (Some(step), Ok(text)) => kept_lines(&text, step),
            (None, _) => String::new(),
            (Some(_), Err(e)) if e.kind() == io::ErrorKind::NotFound => String::new(),
            (Some(_), Err(e)) => return Err(FileError::at("read", path)(e).into()),
        };
        atomic::write_file(path, kept.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path).map_err(FileError::at("open", path))?;
        Ok(Self { path: path.to_owned(), file, total_steps, first_step: resumed_at.unwrap_or(0) })
    }

    /// Appends a line.
    ///
    /// # Errors
    /// When a number is not finite (nothing is written then) or the system refuses.
    pub fn write(&mut self, line: &LogLine) -> Result<(), JournalError> {
        let number = |key: &str, value: Option<f64>| match value {
            Some(x) => finite(key, x).map(Value::from),
            None => Ok(Value::Null),
        };
        let left = self.total_steps.saturating_sub(line.step);
        let done = line.step.saturating_sub(self.first_step).max(1);
        let remaining = line.elapsed.as_secs_f64() / done as f64 * left as f64;
        let share = if self.total_steps == 0 { 1.0 } else { line.step as f64 / self.total_steps as f64 };
        let text = ordered_line([
            ("current_steps", line.step.into()),
            ("total_steps", self.total_steps.into()),
            ("loss", number("loss", line.loss)?),
            ("eval_loss", number("eval_loss", line.eval_loss)?),
            ("learning_rate", number("learning_rate", line.learning_rate)?),
            ("epoch", number("epoch", line.epoch.map(|e| round(e, 2)))?),
            ("percentage", round(share * 100.0, 2).into()),
            ("elapsed_time", time(line.elapsed.as_secs()).into()),
            ("remaining_time", time(remaining as u64).into()),
        ]);
        // One call for the whole line: other readers never see a part of it.
        self.file.write_all((text + "\n").as_bytes()).map_err(FileError::at("append to", &self.path))?;
        Ok(())
    }
}

fn kept_lines(text: &str, last_step: u64) -> String {
    let complete = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let keep = |line: &&str| {
        let value: Option<Value> = serde_json::from_str(line).ok();
        value.and_then(|v| v["current_steps"].as_u64()).is_some_and(|step| step <= last_step)
    };
    complete.filter(keep).collect()
}

/// Whole seconds as Python prints a `timedelta`: `1:02:03`, `2 days, 0:00:01`.
fn time(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    match days {
        0 => clock,
        1 => format!("1 day, {clock}"),
        _ => format!("{days} days, {clock}"),
    }
}
