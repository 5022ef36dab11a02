//! `samples.jsonl`: how each checkpoint answers the first rows, for people who watch a training.

use super::checkpoints::Checkpoint;
use crate::http::state::State;
use crate::models::Answerer;
use crate::scheduler::{Event, Job};
use glm_data::{EvalRow, Positions};
use glm_infer::{GenerationConfig, Request};
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc::unbounded_channel;

/// Name of the file.
pub const FILE: &str = "samples.jsonl";

/// Most tokens of an answer.
const LONGEST: usize = 128;

/// An answer of a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Optimizer steps of the checkpoint.
    pub step: u64,
    /// When it was saved.
    pub saved: u64,
    /// The question.
    pub prompt: String,
    /// The answer that was hoped for.
    pub label: String,
    /// The answer.
    pub predict: String,
}

/// Answers rows greedily and appends the answers to the run's file. The requests go through the scheduler as those of one client
/// more. What cannot be answered or written is logged, and changes nothing else.
pub fn write(state: &State, run: &Path, checkpoint: &Checkpoint, answerer: &Arc<Answerer>, rows: &[EvalRow]) {
    if rows.is_empty() {
        return;
    }
    let written = answers(state, answerer, rows).and_then(|answers| {
        let lines = rows.iter().zip(answers).map(|(row, predict)| Line {
            step: checkpoint.step,
            saved: checkpoint.saved,
            prompt: row.query.clone(),
            label: row.answer.clone(),
            predict,
        });
        let mut text = String::new();
        for line in lines {
            text.push_str(&serde_json::to_string(&line).map_err(|error| error.to_string())?);
            text.push('\n');
        }
        let file = OpenOptions::new().create(true).append(true).open(run.join(FILE));
        file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| error.to_string())
    });
    if let Err(error) = written {
        tracing::warn!(adapter = answerer.id, step = checkpoint.step, error, "a checkpoint's answers are not written");
    }
}

fn answers(state: &State, answerer: &Arc<Answerer>, rows: &[EvalRow]) -> Result<Vec<String>, String> {
    let tokenizer = &state.models.model().tokenizer;
    let config = GenerationConfig { do_sample: false, max_new_tokens: Some(LONGEST), ..GenerationConfig::default() };
    let (events, mut receiver) = unbounded_channel();
    let mut jobs = Vec::with_capacity(rows.len());
    for (choice, row) in rows.iter().enumerate() {
        let positions = Positions::of(tokenizer, &row.ids).map_err(|error| error.to_string())?;
        let asked = Instant::now();
        jobs.push(Job {
            request: Request { positions, ..Request::new(row.ids.clone(), answerer.slot(), &config) },
            config: config.clone(),
            answerer: Arc::clone(answerer),
            asked,
            deadline: Some(asked + state.config.request_timeout),
            events: events.clone(),
            choice,
        });
    }
    drop(events);
    state.scheduler.submit("watch", jobs).map_err(|refused| refused.to_string())?;
    let mut texts = vec![String::new(); rows.len()];
    while let Some((choice, event)) = receiver.blocking_recv() {
        match event {
            Event::Token { .. } => {}
            Event::Done { answer, .. } => texts[choice] = tokenizer.decode(answer.content()).trim().to_owned(),
            Event::Failed(failure) => return Err(format!("{failure:?}")),
        }
    }
    Ok(texts)
}
