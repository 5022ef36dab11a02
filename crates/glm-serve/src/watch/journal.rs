//! `promotions.jsonl`: what was decided about each checkpoint of a run, one object a line.

use super::checkpoints;
use crate::models::now;
use crate::runs::{checkpoint_step, read};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "promotions.jsonl";

/// Bytes of the end of the file that are read.
const MOST: u64 = 8 << 20;

/// A decision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Optimizer steps of the checkpoint.
    pub step: u64,
    /// Its folder.
    pub path: String,
    /// Its loss; `None`: it was not evaluated, or could not be.
    pub loss: Option<f64>,
    /// Loss of what was served before; `None`: nothing was.
    pub previous_loss: Option<f64>,
    /// Whether it is served from now on.
    pub promoted: bool,
    /// Seconds since 1970.
    pub time: u64,
    /// When the checkpoint was saved: with the path it tells which one was meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<u64>,
    /// Whether it was taken out of service by hand.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rolled_back: bool,
    /// What is served instead after a roll-back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<String>,
    /// Why it could not be evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Record {
    /// An empty one of a checkpoint's folder.
    pub fn of(path: &Path) -> Self {
        let step = path.file_name().and_then(|name| checkpoint_step(name.to_str()?)).unwrap_or(0);
        Self { step, path: path.display().to_string(), saved: checkpoints::saved(path), time: now(), ..Self::default() }
    }
}

/// Appends a record. That it cannot be written is logged, and changes nothing else.
pub fn append(run: &Path, record: &Record) {
    let path = run.join(FILE);
    let write = || {
        let mut line = serde_json::to_string(record)?;
        line.push('\n');
        // A line that was cut off, as by a full disk, must not take this one with it.
        if is_torn(&path).unwrap_or(false) {
            line.insert(0, '\n');
        }
        // One call for the whole line, so that readers never see a part of it.
        OpenOptions::new().create(true).append(true).open(&path)?.write_all(line.as_bytes())
    };
    if let Err(error) = write() {
        tracing::warn!(%error, file = %path.display(), "a decision could not be written down");
    }
}

/// Whether the last line lacks its end.
fn is_torn(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// All records that can be read, the oldest first.
pub fn records(run: &Path) -> Vec<Record> {
    let lines = read::tail(&run.join(FILE), MOST).unwrap_or_default();
    lines.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// Checkpoints that were rolled back, with the time at which each was saved. They lie in this run, however its path was written then.
pub fn rolled_back(run: &Path) -> Vec<(PathBuf, Option<u64>)> {
    let records = records(run).into_iter();
    records
        .filter(|record| record.rolled_back)
        .map(|record| (run.join(format!("checkpoint-{}", record.step)), record.saved))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_rolled_back_is_found_again() {
        let run = tempfile::tempdir().unwrap();
        let checkpoint = run.path().join("checkpoint-12");
        std::fs::create_dir(&checkpoint).unwrap();
        std::fs::write(checkpoint.join("trainer_state.json"), "{}").unwrap();
        let record = Record::of(&checkpoint);
        assert_eq!((record.step, record.saved.is_some()), (12, true));
        append(run.path(), &Record { loss: Some(1.5), promoted: true, ..record.clone() });
        assert!(rolled_back(run.path()).is_empty());
        append(run.path(), &Record { rolled_back: true, ..record.clone() });
        OpenOptions::new().append(true).open(run.path().join(FILE)).unwrap().write_all(b"{\"step\": 1").unwrap();
        assert_eq!(rolled_back(run.path()), [(checkpoint.clone(), record.saved)]);
        // A cut-off line does not take the next one with it, and a path that was written otherwise then means the same.
        let otherwise = Record { rolled_back: true, path: "elsewhere/run/checkpoint-12".into(), ..record.clone() };
        append(run.path(), &otherwise);
        assert_eq!(rolled_back(run.path()), [(checkpoint.clone(), record.saved), (checkpoint, record.saved)]);
        let text = std::fs::read_to_string(run.path().join(FILE)).unwrap();
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let keys: Vec<&String> = first.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 7, "{keys:?}");
    }
}
