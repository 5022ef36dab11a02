//! The one training loop.

mod evaluate;
mod identity;
mod journal;
mod memory;
mod observer;
mod state;

pub use evaluate::evaluate;
pub use observer::{Observer, Plan, StepReport};
pub use state::{STATE_FILE, TENSORS_FILE, TensorKind, moments, parameter, saved_step, tensor_kind};

use crate::adapter::Adapter;
use crate::atomic;
use crate::clip::clip_grad_norm;
use crate::config::{IntervalStrategy, TrainConfig};
use crate::error::{Result, TrainError, rows};
use crate::optim::{AdamW, AdamWConfig, Norms, ParamSlice, decays};
use crate::pass::passes;
use crate::run_dir::{checkpoint_path, rotate_checkpoints};
use crate::schedule::{RunLength, Schedule};
use crate::step::{Gradients, StepOptions, accumulate};
use candle_core::{Tensor, Var};
use glm_data::{Batch, Rng, TrainRow, epoch_order};
use glm_model::{Network, ops};
use identity::Identity;
use journal::Journal;
use state::{Place, Saved};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Writes what a checkpoint holds besides the loop's own files: the adapter, `config.json`, the tokenizer.
pub type SaveAdapter<'a> = dyn Fn(&Path) -> Result<()> + 'a;

/// Everything that a run needs.
pub struct Trainer<'a> {
    /// The base, loaded.
    pub network: &'a Network,
    /// What trains.
    pub adapter: &'a Adapter,
    /// Settings.
    pub config: &'a TrainConfig,
    /// Training rows.
    pub rows: &'a [TrainRow],
    /// Rows of the evaluation loss; may be empty.
    pub eval_rows: &'a [TrainRow],
    /// The run folder.
    pub output_dir: &'a Path,
    /// Folder of TensorBoard event files.
    pub tensorboard: Option<&'a Path>,
    /// Writes the adapter into a checkpoint.
    pub save_adapter: &'a SaveAdapter<'a>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Whether it was told to stop before its last step.
    pub interrupted: bool,
    /// Whether all of it had been done before, results included: then nothing was written.
    pub was_complete: bool,
    /// Steps done.
    pub step: u64,
    /// Mean loss of all steps.
    pub train_loss: f64,
    /// Time of this process.
    pub runtime: Duration,
    /// The last checkpoint.
    pub checkpoint: PathBuf,
}

impl Trainer<'_> {
    /// Trains to the end, or until `stop` is set: then the last completed step is saved. `resume` is a checkpoint folder
    /// of this run.
    ///
    /// # Errors
    /// When a number is not finite (step and rows are named; the last good step is saved), a file cannot be written, or
    /// the checkpoint does not belong to this run.
    pub fn run(&self, resume: Option<&Path>, stop: &AtomicBool, observer: &mut dyn Observer) -> Result<Outcome> {
        let length = RunLength::new(self.rows.len(), self.config)?;
        let parameters = self.adapter.parameters(self.network);
        let sizes = parameters.iter().map(|(name, var)| (name.as_str(), var.elem_count()));
        let max_tokens = self.max_tokens_per_pass(resume);
        let mut run = Running {
            trainer: self,
            max_tokens,
            length,
            schedule: Schedule::new(self.config, length.total_steps),
            optimizer: AdamW::new(AdamWConfig::from(self.config), sizes),
            gradients: Gradients::zeros(parameters),
            parameters,
            identity: Identity::new(self),
            place: Place::default(),
            saved_at: None,
            samples: 0,
            tokens: 0,
            began: Instant::now(),
            budget: self.activation_budget(),
            order: (u64::MAX, Vec::new()),
        };
        if let Some(checkpoint) = resume {
            run.place = state::load(checkpoint, &run.identity, parameters, &mut run.optimizer)?;
            // A checkpoint of another folder still has to be saved in this one.
            let (step, total) = (run.place.step, length.total_steps);
            if step > total {
                let reason = format!("it stands at step {step}, past the {total} steps of this run; raise --max_steps");
                return Err(TrainError::OtherRun { path: checkpoint.to_path_buf(), reason });
            }
            let here = checkpoint_path(self.output_dir, run.place.step);
            let same = matches!((checkpoint.canonicalize(), here.canonicalize()), (Ok(a), Ok(b)) if a == b);
            run.saved_at = same.then_some(run.place.step);
            if same && step == total && Journal::is_finished(self.output_dir, total) {
                return Ok(run.outcome(true));
            }
        }
        let mut journal = Journal::open(self, &length, resume, run.place)?;
        observer.started(&run.plan());
        let ended = run.steps(&mut journal, stop, observer);
        if let Err(error @ TrainError::NonFinite { .. }) = ended {
            // What was good a step ago is not lost. Should it not be savable, the first error still is the one to tell.
            // Nothing is rotated away: the step may be good only by number, and an older checkpoint the one to go back to.
            let _ = run.write_checkpoint(&mut journal, observer);
            return Err(error);
        }
        ended?;
        let interrupted = run.place.step < length.total_steps;
        run.save(&mut journal, observer)?;
        let runtime = run.began.elapsed();
        if !interrupted {
            journal.finish(&length, run.place, runtime, observer)?;
        }
        Ok(Outcome { runtime, ..run.outcome(false) })
    }

    /// Why this run cannot go on from a checkpoint folder whose state is whole: it was trained by another method.
    pub fn other_method(&self, checkpoint: &Path) -> Option<TrainError> {
        state::other_method(checkpoint, &Identity::new(self))
    }
}

struct Running<'a> {
    trainer: &'a Trainer<'a>,
    length: RunLength,
    schedule: Schedule,
    optimizer: AdamW,
    gradients: Gradients,
    parameters: &'a [(String, Var)],
    identity: Identity,
    place: Place,
    saved_at: Option<u64>,
    samples: u64,
    tokens: u64,
    began: Instant,
    budget: u64,
    max_tokens: usize,
    order: (u64, Vec<usize>),
}

impl Running<'_> {
    fn outcome(&self, was_complete: bool) -> Outcome {
        let step = self.place.step;
        Outcome {
            interrupted: step < self.length.total_steps,
            was_complete,
            step,
            train_loss: self.place.mean_loss(),
            runtime: self.began.elapsed(),
            checkpoint: checkpoint_path(self.trainer.output_dir, step),
        }
    }

    fn plan(&self) -> Plan {
        let largest = self.trainer.largest_micro_batch();
        let joined = self.trainer.config.gradient_accumulation_steps * largest;
        let most = largest.max(self.max_tokens.min(joined));
        Plan {
            total_steps: self.length.total_steps,
            resumed_at: self.place.step,
            rows: self.trainer.rows.len(),
            epochs: self.length.total_steps as f64 / self.length.steps_per_epoch as f64,
            blocks: self.trainer.network.config().num_layers,
            kept_blocks: self.kept_blocks(most, self.trainer.usual_rows(most)),
            max_tokens: if joined > largest { self.max_tokens } else { 0 },
        }
    }

    fn kept_blocks(&self, tokens: usize, rows: usize) -> usize {
        let each = self.trainer.block_activations(tokens, rows).max(1);
        usize::try_from(self.budget / each).unwrap_or(usize::MAX).min(self.trainer.network.config().num_layers)
    }

    fn steps(&mut self, journal: &mut Journal, stop: &AtomicBool, observer: &mut dyn Observer) -> Result<()> {
        let config = self.trainer.config;
        while self.place.step < self.length.total_steps {
            if !self.step(stop, observer)? {
                return Ok(());
            }
            let step = self.place.step;
            let epoch_ended = self.place.micro_batches / self.length.micro_batches_per_epoch
                > self.last_micro_of_previous_step() / self.length.micro_batches_per_epoch;
            let last = step == self.length.total_steps;
            let due = |strategy, every: usize| match strategy {
                IntervalStrategy::No => false,
                IntervalStrategy::Steps => every > 0 && step.is_multiple_of(every as u64),
                IntervalStrategy::Epoch => epoch_ended,
            };
            if due(IntervalStrategy::Steps, config.logging_steps) || (step == 1 && config.logging_first_step) {
                journal.log_train(
                    &self.length,
                    &mut self.place,
                    self.schedule.rate(step),
                    self.began.elapsed(),
                    observer,
                )?;
            }
            // As transformers, which ends the epoch that the last step breaks off.
            let last_epoch = last && config.evaluation_strategy == IntervalStrategy::Epoch;
            if due(config.evaluation_strategy, config.eval_steps.unwrap_or(config.logging_steps)) || last_epoch {
                self.evaluate(journal, stop, observer)?;
            }
            if due(config.save_strategy, config.save_steps) {
                self.save(journal, observer)?;
            }
        }
        Ok(())
    }

    fn last_micro_of_previous_step(&self) -> u64 {
        let before = |n: &u64| !self.length.steps_after(*n);
        let mut micro = self.place.micro_batches.saturating_sub(1);
        while micro > 0 && before(&micro) {
            micro -= 1;
        }
        micro
    }

    /// One optimizer step; `false` when it was told to stop, and then nothing has changed.
    fn step(&mut self, stop: &AtomicBool, observer: &mut dyn Observer) -> Result<bool> {
        let (trainer, number) = (self.trainer, self.place.step + 1);
        let accumulation = trainer.config.gradient_accumulation_steps;
        self.gradients.clear();
        let first = self.place.micro_batches;
        let mut batches = vec![self.batch(first)];
        let mut micro = first + 1;
        while !self.length.steps_after(micro) {
            batches.push(self.batch(micro));
            micro += 1;
        }
        let lengths: Vec<usize> = batches.iter().map(Batch::len).collect();
        let mut loss = 0.0;
        for pass in passes(&lengths, self.max_tokens) {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let options = StepOptions {
                kept_blocks: self.kept_blocks(
                    lengths[pass.clone()].iter().sum(),
                    batches[pass.clone()].iter().map(|batch| batch.segments.len()).sum(),
                ),
                scale: 1.0 / accumulation as f64,
                step: number,
            };
            let seed = |i: usize| Rng::with_stream(trainer.config.seed, first + i as u64 + 1).next_u64();
            let seeds: Vec<u64> = pass.clone().map(seed).collect();
            let joined = &batches[pass.clone()];
            let parts = accumulate(trainer.network, trainer.adapter, joined, options, &seeds, &mut self.gradients)?;
            loss += parts.iter().map(|part| f64::from(part.mean) / accumulation as f64).sum::<f64>();
            observer.micro_batches(pass.end, accumulation);
        }
        let samples = batches.iter().map(|batch| batch.segments.len() as u64).sum::<u64>();
        let tokens = lengths.iter().sum::<usize>() as u64;
        let sources: Vec<usize> = batches.iter().flat_map(Batch::sources).collect();
        let rate = self.schedule.rate(self.place.step);
        let grad_norm = self.update(rate, &sources)?;
        self.place.step = number;
        self.place.micro_batches = micro;
        self.place.tokens += tokens;
        self.place.add_loss(loss);
        self.samples += samples;
        self.tokens += tokens;
        observer.stepped(&StepReport {
            step: number,
            loss,
            learning_rate: rate,
            grad_norm,
            samples: self.samples,
            tokens: self.tokens,
            elapsed: self.began.elapsed(),
        });
        Ok(true)
    }

    /// Micro batch `index` of the run, counted from 0.
    fn batch(&mut self, index: u64) -> Batch {
        let config = self.trainer.config;
        let (epoch, within) =
            (index / self.length.micro_batches_per_epoch, index % self.length.micro_batches_per_epoch);
        if self.order.0 != epoch {
            let seed = config.data_seed.unwrap_or(config.seed);
            self.order = (epoch, epoch_order(self.trainer.rows.len(), seed, epoch));
        }
        let size = config.per_device_train_batch_size;
        let first = within as usize * size;
        let chosen = &self.order.1[first..(first + size).min(self.order.1.len())];
        Batch::pack(chosen.iter().map(|i| &self.trainer.rows[*i]), self.trainer.adapter.slot())
    }

    fn update(&mut self, rate: f64, sources: &[usize]) -> Result<f32> {
        let stop = |what: String| TrainError::NonFinite { step: self.place.step + 1, what, rows: rows(sources) };
        let mut named: Vec<(&str, &mut [f32])> =
            self.parameters.iter().zip(self.gradients.slices_mut()).map(|((name, _), g)| (name.as_str(), g)).collect();
        let norm = clip_grad_norm(&mut named, self.trainer.config.max_grad_norm)
            .map_err(|bad| stop(format!("the gradient {bad}")))?;
        if !norm.is_finite() {
            return Err(stop(format!("the norm of the gradients is {norm}")));
        }
        let norms = Norms::from(self.trainer.network.config().knobs.norm);
        let mut step = self.optimizer.begin_step(rate);
        for ((name, var), grad) in self.parameters.iter().zip(self.gradients.slices()) {
            let mut value = ops::with_floats(var.as_tensor(), <[f32]>::to_vec)?;
            step.update(&mut ParamSlice { name, value: &mut value, grad, decay: decays(name, norms) })?;
            var.set(&Tensor::from_vec(value, var.dims(), var.device())?)?;
        }
        step.finish()?;
        Ok(norm)
    }

    fn evaluate(&mut self, journal: &mut Journal, stop: &AtomicBool, observer: &mut dyn Observer) -> Result<()> {
        let trainer = self.trainer;
        if trainer.eval_rows.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let size = trainer.config.per_device_eval_batch_size;
        let loss = evaluate(trainer.network, Some(trainer.adapter), trainer.eval_rows, size, stop, |done, of| {
            observer.evaluating(done, of);
        });
        let loss = loss.map_err(|error| match error {
            TrainError::NonFinite { what, rows, .. } => TrainError::NonFinite { step: self.place.step, what, rows },
            other => other,
        })?;
        let Some(loss) = loss else { return Ok(()) };
        let runtime = (began.elapsed(), self.began.elapsed());
        let rows = trainer.eval_rows.len();
        journal.log_eval(&self.length, self.place, loss, runtime, (rows, rows.div_ceil(size.max(1))), observer)
    }

    /// Saves the last completed step and removes what `save_total_limit` no longer allows.
    fn save(&mut self, journal: &mut Journal, observer: &mut dyn Observer) -> Result<()> {
        if self.write_checkpoint(journal, observer)? {
            rotate_checkpoints(self.trainer.output_dir, self.trainer.config.save_total_limit, self.place.step)?;
        }
        Ok(())
    }

    /// Writes the last completed step, unless that is done already or there is none; whether it was written.
    fn write_checkpoint(&mut self, journal: &mut Journal, observer: &mut dyn Observer) -> Result<bool> {
        let step = self.place.step;
        if self.saved_at == Some(step) || step == 0 {
            return Ok(false);
        }
        let path = checkpoint_path(self.trainer.output_dir, step);
        let folder = atomic::AtomicDir::create(&path)?;
        (self.trainer.save_adapter)(folder.path())?;
        let saved = Saved { identity: self.identity.clone(), place: self.place, max_tokens_per_pass: self.max_tokens };
        state::save(folder.path(), &saved, self.parameters, &self.optimizer)?;
        journal.save_state(folder.path(), &self.length, self.place)?;
        folder.commit()?;
        self.saved_at = Some(step);
        observer.saved(&path);
        Ok(true)
    }
}
