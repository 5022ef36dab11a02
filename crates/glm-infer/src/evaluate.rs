//! Generation for all rows of a data file, written as it comes and scored as the official evaluation does.

use crate::engine::{Answer, Engine, Finish, Request};
use crate::metric::{PairScore, Scorer, Summary};
use crate::predictions::{Prediction, PredictionsWriter};
use crate::{GenerationConfig, InferError, Result, decode};
use glm_data::{EvalRow, Positions, Tokenizer};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Rows that `datasets.map` hands to the official preprocessing at once; it pads their prompts to the longest of them.
const MAP_BATCH: usize = 1000;

/// How an evaluation is run.
#[derive(Debug, Clone, Copy)]
pub struct EvaluateOptions<'a> {
    /// Rows in progress at a time. A row that ends makes room for the next, so the number changes only speed and memory.
    pub batch_size: usize,
    /// Adapter slot of all rows; `None`: the bare base.
    pub slot: Option<usize>,
    /// File for the predictions.
    pub predictions: Option<&'a Path>,
}

/// What has been done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvaluateProgress {
    /// Rows answered.
    pub done: usize,
    /// Rows in all.
    pub rows: usize,
    /// Tokens generated.
    pub tokens: usize,
    /// Time since the start.
    pub elapsed: Duration,
}

/// Result of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Mean scores of the answered rows; `None` when there are none.
    pub summary: Option<Summary>,
    /// Rows answered.
    pub rows: usize,
    /// Answers that were cut at their greatest length.
    pub cut: usize,
    /// Answers that were ended because they repeated themselves.
    pub repetitive: usize,
    /// Tokens of the answers, end tokens included.
    pub tokens: usize,
    /// Time of generation and scoring.
    pub elapsed: Duration,
    /// Whether the stop flag ended it before the last row.
    pub stopped: bool,
}

impl Evaluation {
    /// Rows answered in a second.
    pub fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Tokens generated in a second.
    pub fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Answers all rows. Predictions reach the file in the order of the rows, each as soon as it and all before it are there;
/// a killed evaluation therefore leaves the predictions of its first rows. Scores compare the raw decoded texts of answer
/// and label ids, as the official `compute_metrics` does.
///
/// Of the answers that beam search returns for a row, the best one counts. A stop string and what follows it are no part of
/// an answer.
///
/// Answers end where the official ones do: `max_length` counts the prompt with its padding, and the official preprocessing
/// pads every prompt to the longest among the 1000 rows that it handles together.
///
/// # Errors
/// When a logit is not finite (the row is named as in the data file), a setting is bad, or the file cannot be written.
pub fn evaluate(
    engine: &Engine<'_>,
    tokenizer: &Tokenizer,
    rows: &[EvalRow],
    options: EvaluateOptions<'_>,
    config: &GenerationConfig,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(EvaluateProgress),
) -> Result<Evaluation> {
    let began = Instant::now();
    let mut written = Written {
        file: options.predictions.map(PredictionsWriter::create).transpose()?,
        tokenizer,
        scorer: Scorer::new(),
        rows,
        early: BTreeMap::new(),
        scores: Vec::with_capacity(rows.len()),
        cut: 0,
        repetitive: 0,
    };
    let mut waiting = rows.iter().zip(padded_lengths(rows)).zip(streams(rows)).enumerate();
    let engine = engine.clone().with_tokenizer(tokenizer);
    decode::check(config)?;
    let mut running = engine.start();
    let (mut tokens, mut done) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        while running.len() < options.batch_size.max(1) {
            let Some((index, ((row, padded_len), stream))) = waiting.next() else { break };
            let request = Request::in_batch(row.ids.clone(), options.slot, padded_len, config);
            let positions = Positions::of_padded(tokenizer, &row.ids)
                .map_err(|source| InferError::Prompt { row: row.source + 1, source })?;
            running.admit(index, &Request { positions, stream, source: row.source, ..request }, config)?;
        }
        if running.is_empty() {
            break;
        }
        let ended = running.step(&mut |_| tokens += 1)?;
        done += ended.len();
        for ended in ended {
            written.take(ended.index, ended.answer?)?;
        }
        progress(EvaluateProgress { done, rows: rows.len(), tokens, elapsed: began.elapsed() });
    }
    // After a stop, rows that are complete but wait for one before them are worth keeping.
    written.drain()?;
    Ok(Evaluation {
        summary: Summary::of(&written.scores),
        rows: written.scores.len(),
        cut: written.cut,
        repetitive: written.repetitive,
        tokens,
        elapsed: began.elapsed(),
        stopped: written.scores.len() < rows.len(),
    })
}

/// For each row, the length to which the official preprocessing pads its prompt.
fn padded_lengths(rows: &[EvalRow]) -> Vec<usize> {
    let mut longest = BTreeMap::new();
    for row in rows {
        let most = longest.entry(row.source / MAP_BATCH).or_insert(0);
        *most = row.ids.len().max(*most);
    }
    rows.iter().map(|row| longest[&(row.source / MAP_BATCH)]).collect()
}

/// For each row, its stream of random numbers: the row of the file, and above it which of the questions that the row holds.
fn streams(rows: &[EvalRow]) -> Vec<u64> {
    let mut questions = BTreeMap::new();
    let stream = |row: &EvalRow| {
        let question = questions.entry(row.source).or_insert(0u64);
        *question += 1;
        ((*question - 1) << 32) ^ row.source as u64
    };
    rows.iter().map(stream).collect()
}

/// Predictions on their way into the file.
struct Written<'a> {
    file: Option<PredictionsWriter>,
    tokenizer: &'a Tokenizer,
    scorer: Scorer,
    rows: &'a [EvalRow],
    /// Answers that came before that of an earlier row.
    early: BTreeMap<usize, Answer>,
    scores: Vec<PairScore>,
    cut: usize,
    repetitive: usize,
}

impl Written<'_> {
    fn take(&mut self, index: usize, answer: Answer) -> Result<()> {
        self.early.insert(index, answer);
        while let Some(answer) = self.early.remove(&self.scores.len()) {
            self.write(self.scores.len(), &answer)?;
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<()> {
        while let Some((index, answer)) = self.early.pop_first() {
            self.write(index, &answer)?;
        }
        Ok(())
    }

    fn write(&mut self, index: usize, answer: &Answer) -> Result<()> {
        let predicted = answer.decode(self.tokenizer);
        let reference = &self.rows[index].reference;
        if let Some(file) = &mut self.file {
            file.write(&Prediction::from_decoded(reference, &predicted))?;
        }
        self.scores.push(self.scorer.score_pair(&predicted, reference));
        self.cut += usize::from(answer.finish == Finish::Length);
        self.repetitive += usize::from(answer.finish == Finish::Repetition);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(source: usize, len: usize) -> EvalRow {
        EvalRow {
            ids: vec![5; len],
            label_ids: Vec::new(),
            reference: String::new(),
            query: String::new(),
            answer: String::new(),
            history: Vec::new(),
            source,
        }
    }

    #[test]
    fn every_question_of_a_row_draws_its_own_numbers() {
        let rows = [row(3, 1), row(3, 2), row(4, 1), row(3, 3)];
        assert_eq!(streams(&rows), [3, (1 << 32) + 3, 4, (2 << 32) + 3]);
    }

    #[test]
    fn prompts_are_padded_within_their_thousand_rows() {
        let rows = [row(0, 3), row(7, 9), row(999, 4), row(1000, 5), row(1001, 2), row(4000, 1)];
        assert_eq!(padded_lengths(&rows), [9, 9, 9, 5, 5, 1]);
        assert!(padded_lengths(&[]).is_empty());
    }
}
