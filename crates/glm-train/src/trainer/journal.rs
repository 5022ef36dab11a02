//! Keeps trainer_state.json, trainer_log.jsonl, event files and the curve in step with the run.

use super::Trainer;
use super::observer::Observer;
use super::state::Place;
use crate::error::Result;
use crate::journal::{
    Curve, EventWriter, LogLine, Metrics, Split, TrainSummary, TrainerLog, TrainerState, results_path, save_curve,
    save_results, split_metrics,
};
use crate::run_dir::TRAINER_STATE;
use crate::schedule::RunLength;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the curve.
pub const CURVE_FILE: &str = "training_loss.svg";

pub(super) struct Journal {
    state: TrainerState,
    log: TrainerLog,
    events: Option<EventWriter>,
    output_dir: PathBuf,
    rows: u64,
    /// Weights outside the embedding, for the estimate of floating-point operations.
    weights: f64,
}

impl Journal {
    pub(super) fn open(trainer: &Trainer<'_>, length: &RunLength, resume: Option<&Path>, place: Place) -> Result<Self> {
        let resumed_at = resume.map(|_| place.step);
        let mut state = TrainerState::new(length.total_steps, length.num_train_epochs);
        if let Some(checkpoint) = resume {
            state.log_history = TrainerState::load(&checkpoint.join(TRAINER_STATE))?.log_history;
        }
        let events = trainer.tensorboard.map(|dir| EventWriter::create(dir, resumed_at)).transpose()?;
        let log = TrainerLog::open(&trainer.output_dir.join("trainer_log.jsonl"), length.total_steps, resumed_at)?;
        let config = trainer.network.config();
        let weights = (trainer.network.parameter_count() - config.vocab_size * config.hidden_size) as f64;
        Ok(Self {
            state,
            log,
            events,
            output_dir: trainer.output_dir.to_owned(),
            rows: trainer.rows.len() as u64,
            weights,
        })
    }

    /// Whether the folder holds the results of a run of so many steps.
    pub(super) fn is_finished(output_dir: &Path, total_steps: u64) -> bool {
        let ends = |state: TrainerState| {
            let last = state.log_history.last().and_then(|entry| entry.get("train_runtime"));
            (state.global_step, state.max_steps) == (total_steps, total_steps) && last.is_some()
        };
        results_path(output_dir, Split::Train).is_file()
            && TrainerState::load(&output_dir.join(TRAINER_STATE)).is_ok_and(ends)
    }

    fn at(&mut self, length: &RunLength, place: Place) {
        self.state.global_step = place.step;
        self.state.epoch = Some(length.epoch_after(place.micro_batches));
        // The usual estimate: 6 operations a weight and token.
        self.state.total_flos = 6.0 * self.weights * place.tokens as f64;
    }

    pub(super) fn log_train(
        &mut self,
        length: &RunLength,
        place: &mut Place,
        rate: f64,
        elapsed: Duration,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let Some(mean) = place.take_window() else { return Ok(()) };
        self.at(length, *place);
        let epoch = self.state.epoch;
        let entry = self.state.log_train(mean, rate)?.clone();
        let (loss, learning_rate) = (Some(mean), Some(rate));
        self.log.write(&LogLine { step: place.step, loss, learning_rate, epoch, elapsed, ..LogLine::default() })?;
        self.publish(place.step, &entry, observer)
    }

    pub(super) fn log_eval(
        &mut self,
        length: &RunLength,
        place: Place,
        loss: f64,
        (runtime, elapsed): (Duration, Duration),
        (rows, batches): (usize, usize),
        observer: &mut dyn Observer,
    ) -> Result<()> {
        self.at(length, place);
        let metrics = split_metrics(Split::Eval, &[("loss", loss)], runtime, rows as u64, batches as u64)?;
        let entry = self.state.log(metrics)?.clone();
        let (eval_loss, epoch) = (Some(loss), self.state.epoch);
        self.log.write(&LogLine { step: place.step, eval_loss, epoch, elapsed, ..LogLine::default() })?;
        self.publish(place.step, &entry, observer)
    }

    fn publish(&mut self, step: u64, entry: &Metrics, observer: &mut dyn Observer) -> Result<()> {
        if let Some(events) = &mut self.events {
            events.log(step, entry)?;
        }
        observer.logged(entry);
        Ok(())
    }

    pub(super) fn save_state(&mut self, folder: &Path, length: &RunLength, place: Place) -> Result<()> {
        self.at(length, place);
        self.state.save(&folder.join(TRAINER_STATE))?;
        // Also beside the checkpoints, so that an interrupted run shows how far it came.
        self.state.save(&self.output_dir.join(TRAINER_STATE))?;
        self.curve()
    }

    fn curve(&self) -> Result<()> {
        let curve = Curve::from_history(&self.state.log_history);
        Ok(save_curve(&self.output_dir.join(CURVE_FILE), &curve, "Training loss")?)
    }

    pub(super) fn finish(
        &mut self,
        length: &RunLength,
        place: Place,
        runtime: Duration,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        self.at(length, place);
        let summary = TrainSummary {
            epoch: length.epoch_after(place.micro_batches),
            train_loss: place.mean_loss(),
            runtime,
            samples: self.rows,
            samples_seen: length.samples_seen,
            steps: place.step,
            total_flos: self.state.total_flos,
        };
        let entry = self.state.log(summary.log_entry()?)?.clone();
        self.publish(place.step, &entry, observer)?;
        self.state.save(&self.output_dir.join(TRAINER_STATE))?;
        save_results(&self.output_dir, Split::Train, &summary.results()?)?;
        self.curve()
    }
}
