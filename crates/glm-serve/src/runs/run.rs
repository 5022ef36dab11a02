//! One run: its state, and all that is shown of it.

use super::find::Found;
use super::journal::{EvalPoint, Journal, TrainPoint, number};
use super::{read, shown};
use crate::watch::{journal, samples};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::path::Path;

/// Generated answers that are shown, and bytes that are read for them.
const SAMPLES: usize = 20;
const SAMPLES_BYTES: u64 = 256 << 10;

const WATCHED_BYTES: u64 = 4 << 20;

/// Checkpoints that are shown, the newest.
const CHECKPOINTS: usize = 200;

/// Files of results; a later one says again what an earlier one says.
const RESULTS: [&str; 3] = ["all_results.json", "eval_results.json", "predict_results.json"];

/// What becomes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// A process is training.
    Running,
    /// All steps are done.
    Complete,
    /// It ended before its last step.
    Stopped,
}

/// A line of the list.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Name in the next request.
    pub id: String,
    state: RunState,
    step: u64,
    max_steps: u64,
    loss: Option<f64>,
    /// Seconds since 1970.
    pub updated: u64,
}

impl Line {
    /// Of a run.
    pub fn read(run: &Found) -> Self {
        let journal = Journal::read(&run.path, false);
        let files = ["trainer_log.jsonl", "trainer_state.json", "run_config.json", "all_results.json"];
        Self {
            id: run.id.clone(),
            state: state(&run.path, &journal),
            step: journal.step,
            max_steps: journal.max_steps,
            loss: journal.train.last().map(|point| point.loss),
            updated: files.iter().filter_map(|file| read::written(&run.path.join(file))).max().unwrap_or(0),
        }
    }
}

/// All that is shown of a run.
#[derive(Debug, Serialize)]
pub struct Detail {
    id: String,
    state: RunState,
    step: u64,
    max_steps: u64,
    epoch: Option<f64>,
    eta_seconds: Option<u64>,
    samples_per_second: Option<f64>,
    learning_rate: Option<f64>,
    train: Vec<TrainPoint>,
    eval: Vec<EvalPoint>,
    scores: BTreeMap<String, f64>,
    checkpoints: Vec<Checkpoint>,
    samples: Vec<Sample>,
    configuration: Value,
}

#[derive(Debug, Serialize)]
struct Checkpoint {
    name: String,
    step: u64,
    loss: Option<f64>,
    eval_loss: Option<f64>,
    scores: BTreeMap<String, f64>,
    samples: Vec<Sample>,
}

/// A generated answer beside the one that was hoped for.
#[derive(Debug, PartialEq, Serialize)]
pub struct Sample {
    prompt: Option<String>,
    label: String,
    predict: String,
}

impl Sample {
    fn watched(line: &samples::Line) -> Self {
        let samples::Line { prompt, label, predict, .. } = line.clone();
        Self { prompt: Some(prompt), label, predict }
    }
}

impl Detail {
    /// Of a run.
    pub fn read(run: &Found) -> Self {
        let path = &run.path;
        let journal = Journal::read(path, true);
        let state = state(path, &journal);
        let configuration = read::json(&path.join("run_config.json")).filter(Value::is_object);
        let rows = configuration.as_ref().and_then(rows_of_a_step);
        let running = state == RunState::Running;
        let now = journal.steps_per_second.zip(rows).map(|(steps, rows)| steps * rows);
        Self {
            id: run.id.clone(),
            state,
            step: journal.step,
            max_steps: journal.max_steps,
            epoch: journal.epoch,
            eta_seconds: journal.remaining.filter(|_| running),
            samples_per_second: journal.samples_per_second.filter(|_| !running).or(now),
            learning_rate: journal.train.iter().rev().find_map(|point| point.learning_rate),
            scores: scores(path),
            checkpoints: checkpoints(path, &journal),
            samples: samples(path),
            configuration: configuration.map_or_else(|| Value::Object(serde_json::Map::new()), shown::configuration),
            train: journal.train,
            eval: journal.eval,
        }
    }
}

/// A training keeps `run.lock` locked as long as its process lives, however that ends; other writers have no such file, and
/// where there is none a run that is not complete counts as stopped.
fn state(run: &Path, journal: &Journal) -> RunState {
    if is_locked(&run.join("run.lock")) {
        return RunState::Running;
    }
    if journal.complete { RunState::Complete } else { RunState::Stopped }
}

/// Whether a process holds the lock. It is asked for shared and let go at once; a training that wants it in this moment tries
/// again.
fn is_locked(path: &Path) -> bool {
    if !read::is_file(path) {
        return false;
    }
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Rows of an optimizer step.
fn rows_of_a_step(configuration: &Value) -> Option<f64> {
    let train = configuration.get("train")?;
    Some(number(train, "per_device_train_batch_size")? * number(train, "gradient_accumulation_steps")?)
}

/// Losses and scores of the files of results; times and counts of rows are none.
fn scores(folder: &Path) -> BTreeMap<String, f64> {
    let is_score = |key: &str| {
        (key.starts_with("predict_") || key.starts_with("eval_"))
            && !["_runtime", "_samples", "_per_second"].iter().any(|end| key.ends_with(end))
    };
    let mut found = BTreeMap::new();
    for results in RESULTS.iter().filter_map(|file| read::json(&folder.join(file))) {
        let Value::Object(fields) = &results else { continue };
        let scores = fields.iter().filter(|(key, _)| is_score(key));
        found.extend(scores.filter_map(|(key, value)| Some((key.clone(), value.as_f64().filter(|x| x.is_finite())?))));
    }
    found
}

/// The first generated answers; what is no line of them is passed over.
fn samples(folder: &Path) -> Vec<Sample> {
    let Some(bytes) = read::head(&folder.join("generated_predictions.txt"), SAMPLES_BYTES) else { return Vec::new() };
    let text = String::from_utf8_lossy(&bytes);
    let sample = |line: &str| {
        let line = read::parse(line.as_bytes())?;
        let text = |key: &str| line.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(Sample {
            prompt: text("prompt"),
            label: text("labels").or_else(|| text("label"))?,
            predict: text("predict")?,
        })
    };
    text.lines().filter_map(sample).take(SAMPLES).collect()
}

fn checkpoints(run: &Path, journal: &Journal) -> Vec<Checkpoint> {
    let Ok(entries) = std::fs::read_dir(run) else { return Vec::new() };
    let mut steps: Vec<u64> = entries
        .filter_map(|entry| {
            let entry = entry.ok().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))?;
            let name = entry.file_name();
            checkpoint_step(name.to_str()?)
        })
        .collect();
    steps.sort_unstable();
    let skipped = steps.len().saturating_sub(CHECKPOINTS);
    let (losses, answers) = (journal::records(run), watched_answers(run));
    let checkpoint = |step| {
        let mut shown = checkpoint(run, step, journal);
        // What a watch found of this very checkpoint, not of an earlier one of its name.
        let saved = read::written(&run.join(&shown.name).join("trainer_state.json"));
        let of_this = |record: &&journal::Record| record.step == step && record.saved == saved;
        let loss = losses.iter().rev().filter(of_this).find_map(|record| record.loss);
        shown.scores.extend(loss.filter(|loss| loss.is_finite()).map(|loss| ("watch_loss".to_owned(), loss)));
        if shown.samples.is_empty() {
            // A server that was started again has asked again.
            let mut asked = BTreeSet::new();
            let own = answers.iter().filter(|line| line.step == step && Some(line.saved) == saved);
            let own = own.filter(|line| asked.insert(&line.prompt));
            shown.samples = own.map(Sample::watched).take(SAMPLES).collect();
        }
        shown
    };
    steps.drain(skipped..).map(checkpoint).collect()
}

/// Answers of checkpoints that a watch wrote down.
fn watched_answers(run: &Path) -> Vec<samples::Line> {
    let lines = read::tail(&run.join(samples::FILE), WATCHED_BYTES).unwrap_or_default();
    lines.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// The step in the name of a checkpoint's folder.
pub(crate) fn checkpoint_step(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("checkpoint-")?;
    digits.parse().ok().filter(|step: &u64| step.to_string() == digits)
}

fn checkpoint(run: &Path, step: u64, journal: &Journal) -> Checkpoint {
    let name = format!("checkpoint-{step}");
    let folder = run.join(&name);
    // Its own journal, for the run's may be one of later runs; and that of the run for what was logged after the save.
    let own = read::json(&folder.join("trainer_state.json")).map(|state| Journal::of_state(&state)).unwrap_or_default();
    let eval = |journal: &Journal| journal.eval.iter().rev().find(|point| point.step == step).map(|point| point.loss);
    let loss = |journal: &Journal| journal.train.iter().rev().find(|point| point.step <= step).map(|point| point.loss);
    Checkpoint {
        loss: loss(&own).or_else(|| loss(journal)),
        eval_loss: eval(&own).or_else(|| eval(journal)),
        scores: scores(&folder),
        samples: samples(&folder),
        name,
        step,
    }
}
