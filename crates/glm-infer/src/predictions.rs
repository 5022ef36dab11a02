//! `generated_predictions.txt`: one `{"labels": "…", "predict": "…"}` a line, as the official evaluation writes it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use glm_data::clean_up;
use serde::{Deserialize, Serialize};

use crate::metric::{Scorer, Summary, strip};

/// A predictions file could not be written, read or scored.
#[derive(Debug, thiserror::Error)]
pub enum PredictionsError {
    /// The file could not be opened, read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// File concerned.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is not a prediction.
    #[error(
        "{} line {line}: {reason}; expected {{\"labels\": \"…\", \"predict\": \"…\"}}{}",
        path.display(),
        if *cut_off { "; the line breaks off, as after an interrupted run: remove it and score the rest" } else { "" }
    )]
    Line {
        /// File concerned.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What the parser said.
        reason: String,
        /// The line ends in the middle of the object.
        cut_off: bool,
    },
    /// The file holds no prediction.
    #[error("{}: holds no predictions; expected one {{\"labels\": \"…\", \"predict\": \"…\"}} a line", path.display())]
    Empty {
        /// File concerned.
        path: PathBuf,
    },
}

/// One answer with the text that was hoped for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prediction {
    /// Reference; `label` in the files of ChatGLM-Efficient-Tuning.
    #[serde(alias = "label")]
    pub labels: String,
    /// Generated text.
    pub predict: String,
}

impl Prediction {
    /// A prediction from decoded texts, with the blanks before English punctuation removed as the official script does for
    /// this file only (its scores are taken before).
    pub fn from_decoded(labels: &str, predict: &str) -> Self {
        Self { labels: clean_up(labels), predict: clean_up(predict) }
    }

    /// The line without its end, as `json.dumps(…, ensure_ascii=False)` writes it: both texts stripped of surrounding white
    /// space, keys in this order, blanks after colon and comma, nothing escaped that json does not demand.
    pub fn line(&self) -> String {
        let text = |text| serde_json::to_string(strip(text)).expect("a text is always json");
        format!("{{\"labels\": {}, \"predict\": {}}}", text(&self.labels), text(&self.predict))
    }
}

/// Writes predictions as they come; each is in the file before the next is made.
#[derive(Debug)]
pub struct PredictionsWriter {
    path: PathBuf,
    file: File,
}

impl PredictionsWriter {
    /// Makes the file, or empties the one that is there.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, PredictionsError> {
        let path = path.into();
        match File::create(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(PredictionsError::Io { path, source }),
        }
    }

    /// Appends one line in one write, unbuffered.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, prediction: &Prediction) -> Result<(), PredictionsError> {
        let line = prediction.line() + "\n";
        self.file.write_all(line.as_bytes()).map_err(|source| PredictionsError::Io { path: self.path.clone(), source })
    }
}

/// Reads predictions one by one; blank lines and unknown keys are passed over. Ends after the first error.
#[derive(Debug)]
pub struct PredictionsReader {
    path: PathBuf,
    file: BufReader<File>,
    line: usize,
    ended: bool,
}

impl PredictionsReader {
    /// Opens a file with one json object a line: the official form, or `.jsonl` with `label`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, PredictionsError> {
        let path = path.into();
        match File::open(&path) {
            Ok(file) => Ok(Self { path, file: BufReader::new(file), line: 0, ended: false }),
            Err(source) => Err(PredictionsError::Io { path, source }),
        }
    }

    fn read(&mut self) -> Result<Option<Prediction>, PredictionsError> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let length = self
                .file
                .read_until(b'\n', &mut bytes)
                .map_err(|source| PredictionsError::Io { path: self.path.clone(), source })?;
            if length == 0 {
                return Ok(None);
            }
            self.line += 1;
            let text = if self.line == 1 { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes) } else { &bytes };
            if text.trim_ascii().is_empty() {
                continue;
            }
            // serde would also take an array of two texts.
            let parsed = match text.trim_ascii_start().first() {
                Some(b'{') => serde_json::from_slice(text).map_err(|e| (reason(&e), e.is_eof())),
                _ => Err(("not a json object".to_owned(), false)),
            };
            return parsed.map(Some).map_err(|(reason, unfinished)| PredictionsError::Line {
                path: self.path.clone(),
                line: self.line,
                reason,
                cut_off: !text.ends_with(b"\n") && (unfinished || !text.trim_ascii().ends_with(b"}")),
            });
        }
    }
}

impl Iterator for PredictionsReader {
    type Item = Result<Prediction, PredictionsError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.read().transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}

/// Scores a predictions file.
///
/// The texts in the file are stripped (and, for ChatGLM2-6B, tidied by the tokenizer), so BLEU may differ slightly from the
/// scores of the run that wrote it, which the official script takes before that.
///
/// # Errors
/// When the file cannot be read, a line is not a prediction, or there is none.
pub fn score_file(path: &Path) -> Result<Summary, PredictionsError> {
    let reader = PredictionsReader::open(path)?;
    let scorer = Scorer::new();
    let scores =
        reader.map(|row| row.map(|row| scorer.score_pair(&row.predict, &row.labels))).collect::<Result<Vec<_>, _>>()?;
    Summary::of(&scores).ok_or_else(|| PredictionsError::Empty { path: path.to_owned() })
}

/// The parser's message with its column; its line is always 1 here and would mislead.
fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(end) => format!("{} at column {}", &message[..end], error.column()),
        None => message,
    }
}
