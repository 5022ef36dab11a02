//! One run that is watched: which of its checkpoints are new, how good they are, and what follows.

use super::checkpoints::{self, Checkpoint};
use super::journal::{self, Record};
use super::loss::{self, LossError};
use super::{Watch, Watched, is_stopping, samples, sleep};
use crate::http::state::State;
use crate::models::Answerer;
use crate::runs::read;
use glm_data::{DataConfig, EvalRow, Rows, TrainRow, eval_rows, train_rows};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often a checkpoint is tried that cannot be opened: it may be being copied.
const TRIES: usize = 3;

/// While requests are answered, an evaluation rests so many times as long as it computes.
const REST: u32 = 3;

/// Rows as a run makes them.
struct Samples {
    config: DataConfig,
    rows: Vec<TrainRow>,
    /// To be answered.
    asked: Vec<EvalRow>,
}

/// Watches one run.
pub struct Watcher<'s> {
    state: &'s State,
    watched: &'s Watched,
    rows: &'s Rows,
    /// Rows that are answered.
    answered: usize,
    /// What became of the rows.
    samples: Option<Samples>,
    /// Checkpoints that were decided about, or rolled back.
    seen: Vec<(PathBuf, Option<u64>)>,
    /// The checkpoint that could not be opened, and how often.
    failed: Option<(Checkpoint, usize)>,
    /// Losses of what is or was served.
    losses: Vec<(Weak<Answerer>, f64)>,
}

impl<'s> Watcher<'s> {
    /// Begins with what was rolled back before the server was started.
    pub fn new(state: &'s State, watched: &'s Watched, watch: &'s Watch) -> Self {
        let seen = journal::rolled_back(&watched.run);
        let (rows, answered) = (&watch.rows, watch.samples);
        Self { state, watched, rows, answered, samples: None, seen, failed: None, losses: Vec::new() }
    }

    /// Decides about the newest checkpoint that is new; `false`: there is none, or the server stops.
    pub fn look(&mut self) -> bool {
        let new = checkpoints::complete(&self.watched.run).into_iter().find(|checkpoint| !self.has_seen(checkpoint));
        let Some(checkpoint) = new else { return false };
        if self.is_served(&checkpoint) {
            self.see(&checkpoint);
            return true;
        }
        let name = &self.watched.name;
        match self.decide(&checkpoint) {
            Ok((record, candidate)) => {
                let (step, loss, previous_loss) = (record.step, record.loss, record.previous_loss);
                match record.promoted {
                    true => tracing::info!(adapter = name, step, loss, previous_loss, "promoted: it is served now"),
                    false => tracing::info!(adapter = name, step, loss, previous_loss, "not promoted: not better"),
                }
                journal::append(&self.watched.run, &record);
                self.see(&checkpoint);
                let asked = self.samples.as_ref().map_or(&[][..], |samples| &samples.asked);
                samples::write(self.state, &self.watched.run, &checkpoint, &candidate, asked);
                true
            }
            Err(Undecided::Stopped) => false,
            Err(Undecided::Again(error)) if self.may_try_again(&checkpoint) => {
                tracing::warn!(adapter = name, step = checkpoint.step, error, "a checkpoint is tried again later");
                false
            }
            Err(Undecided::Again(error) | Undecided::Failed(error)) => {
                tracing::warn!(adapter = name, step = checkpoint.step, error, "a checkpoint is passed over");
                // One that a training has removed meanwhile leaves nothing to write about.
                if checkpoint.path.exists() {
                    let record = Record { error: Some(error), ..Record::of(&checkpoint.path) };
                    journal::append(&self.watched.run, &record);
                }
                self.see(&checkpoint);
                true
            }
        }
    }

    fn decide(&mut self, checkpoint: &Checkpoint) -> Result<(Record, Arc<Answerer>), Undecided> {
        let name = &self.watched.name;
        let opened = self.state.models.open(name, &checkpoint.path);
        let candidate = Arc::new(opened.map_err(|error| Undecided::Again(error.to_string()))?);
        self.read_rows(&candidate)?;
        let loss = self.loss(&candidate)?;
        loop {
            let served = self.state.models.adapter(name);
            let previous_loss = match &served {
                Some(served) => self.loss_of_served(served)?,
                None => None,
            };
            let better = previous_loss.is_none_or(|previous| loss < previous);
            // Where something else has come to be served meanwhile, the comparison is another one.
            if better && !self.state.models.exchange(name, served.as_ref(), &candidate) {
                continue;
            }
            if better {
                self.losses.push((Arc::downgrade(&candidate), loss));
            }
            let record = Record::of(&checkpoint.path);
            let saved = Some(checkpoint.saved);
            let record = Record { saved, loss: Some(loss), previous_loss, promoted: better, ..record };
            return Ok((record, candidate));
        }
    }

    /// Loss of what is served; `None`: it is no number, and everything else is better.
    fn loss_of_served(&mut self, served: &Arc<Answerer>) -> Result<Option<f64>, Undecided> {
        self.losses.retain(|(known, _)| known.strong_count() > 0);
        let known = self.losses.iter().find(|(known, _)| std::ptr::eq(known.as_ptr(), Arc::as_ptr(served)));
        if let Some((_, loss)) = known {
            return Ok(Some(*loss));
        }
        match self.loss(served) {
            Ok(loss) => {
                self.losses.push((Arc::downgrade(served), loss));
                Ok(Some(loss))
            }
            Err(Undecided::Failed(error)) => {
                tracing::warn!(adapter = self.watched.name, error, "what is served has no loss");
                Ok(None)
            }
            Err(stopped) => Err(stopped),
        }
    }

    fn loss(&self, answerer: &Answerer) -> Result<f64, Undecided> {
        let rows = self.samples.as_ref().map_or(&[][..], |samples| &samples.rows);
        let (state, metrics) = (self.state, &self.state.metrics);
        let mut rest = |took: Duration| {
            if metrics.running.get() + metrics.waiting.get() > 0 {
                sleep(state, took * REST);
            }
            !is_stopping(state)
        };
        loss::mean(state.models.model(), answerer, rows, &mut rest).map_err(|error| match error {
            LossError::Stopped => Undecided::Stopped,
            error => Undecided::Failed(error.to_string()),
        })
    }

    /// Makes the rows as the run makes them. When it does so in another way than before, earlier losses are of other rows.
    fn read_rows(&mut self, candidate: &Answerer) -> Result<(), Undecided> {
        let config = self.config(candidate);
        if self.samples.as_ref().is_some_and(|samples| samples.config == config) {
            return Ok(());
        }
        let tokenizer = &self.state.models.model().tokenizer;
        let failed = |error: glm_data::DataError| Undecided::Failed(error.to_string());
        let (rows, report) = train_rows(self.rows, tokenizer, &config).map_err(failed)?;
        let (mut asked, _) = eval_rows(self.rows, tokenizer, &config).map_err(failed)?;
        asked.truncate(self.answered);
        tracing::info!(adapter = self.watched.name, rows = report.counts(), "rows of the watch");
        self.samples = Some(Samples { config, rows, asked });
        self.losses.clear();
        Ok(())
    }

    /// What `run_config.json` says of rows; without it, what the adapter says.
    fn config(&self, candidate: &Answerer) -> DataConfig {
        let default = DataConfig { source_prefix: candidate.source_prefix().to_owned(), ..DataConfig::default() };
        let Some(said) = read::json(&self.watched.run.join("run_config.json")) else { return default };
        let data = said.get("data").cloned().and_then(|data| serde_json::from_value(data).ok());
        let mut config: DataConfig = data.unwrap_or(default);
        if let Some(limit) = said.get("val_max_target_length").and_then(Value::as_u64) {
            config.max_target_length = usize::try_from(limit).unwrap_or(usize::MAX);
        }
        config
    }

    fn is_served(&self, checkpoint: &Checkpoint) -> bool {
        let served = self.state.models.adapter(&self.watched.name);
        let same = |answerer: &Arc<Answerer>| {
            let adapter = answerer.adapter.as_ref();
            adapter.is_some_and(|adapter| adapter.path == checkpoint.path) && answerer.created >= checkpoint.saved
        };
        served.as_ref().is_some_and(same)
    }

    fn has_seen(&self, checkpoint: &Checkpoint) -> bool {
        self.seen.iter().any(|(path, saved)| *path == checkpoint.path && *saved == Some(checkpoint.saved))
    }

    fn see(&mut self, checkpoint: &Checkpoint) {
        // What is gone will not come back; what was rolled back and is gone neither.
        self.seen.retain(|(path, _)| path.exists());
        self.seen.push((checkpoint.path.clone(), Some(checkpoint.saved)));
    }

    fn may_try_again(&mut self, checkpoint: &Checkpoint) -> bool {
        let before = self.failed.take().filter(|(failed, _)| failed == checkpoint).map_or(0, |(_, tries)| tries);
        self.failed = Some((checkpoint.clone(), before + 1));
        before + 1 < TRIES && checkpoint.path.exists()
    }
}

/// Why there is no decision.
enum Undecided {
    /// The server stops.
    Stopped,
    /// It may work later.
    Again(String),
    /// It will not.
    Failed(String),
}
