//! Learning-rate schedules and the arithmetic of steps and epochs, as in transformers 4.30's Trainer.

use thiserror::Error;

use crate::{SchedulerType, TrainConfig};

/// Why a run has no length.
#[derive(Debug, Error, PartialEq)]
pub enum LengthError {
    /// No rows.
    #[error("the training file has no usable row; check --train_file, --prompt_column and --response_column")]
    NoRows,
    /// A count that must be at least 1.
    #[error("--{flag} is 0; it must be at least 1")]
    Zero {
        /// The flag.
        flag: &'static str,
    },
    /// Epochs that are no positive number.
    #[error("--num_train_epochs is {found}; it must be a number above 0 unless --max_steps is given")]
    Epochs {
        /// The value found.
        found: f64,
    },
}

/// How long a run is.
///
/// One *micro batch* is one forward and backward pass over `per_device_train_batch_size` rows; the last one of an epoch may
/// be smaller and counts like the others. Micro batches are counted from 1 over the whole run, across epochs:
///
/// * an epoch has ⌈rows / batch⌉ micro batches and, in the count of steps, max(⌊micro batches / accumulation⌋, 1) steps;
/// * `max_steps` above 0 is the number of steps, else ⌈num_train_epochs · steps per epoch⌉;
/// * an optimizer step follows every micro batch whose number is a multiple of the accumulation. **An incomplete group at
///   the end of an epoch is not dropped and not stepped: the next epoch's first micro batches complete it.** Only when an
///   epoch has no more micro batches than the accumulation asks for, its last micro batch ends a group too, however few
///   there were (each is still divided by the full accumulation);
/// * the run stops with its last step, even in the middle of an epoch; left-over micro batches after it never run.
///
/// transformers 4.30 with its first accelerate versions lost some steps after an incomplete group, because accelerate
/// counted anew in every epoch; that fault was repaired upstream in both and is not repeated here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunLength {
    /// Micro batches in one epoch.
    pub micro_batches_per_epoch: u64,
    /// Steps that one epoch counts for.
    pub steps_per_epoch: u64,
    /// Optimizer steps of the whole run.
    pub total_steps: u64,
    /// Epochs begun, `num_train_epochs` of `trainer_state.json`.
    pub num_train_epochs: u64,
    /// Rows seen, as `train_samples_per_second` counts them.
    pub samples_seen: f64,
    accumulation: u64,
}

impl RunLength {
    /// Length of a run over `rows` training rows.
    ///
    /// # Errors
    /// When there are no rows, a count is 0, or the number of epochs is needed and not above 0.
    pub fn new(rows: usize, config: &TrainConfig) -> Result<Self, LengthError> {
        let at_least_1 = |flag, n: usize| if n == 0 { Err(LengthError::Zero { flag }) } else { Ok(n as u64) };
        let batch = at_least_1("per_device_train_batch_size", config.per_device_train_batch_size)?;
        let accumulation = at_least_1("gradient_accumulation_steps", config.gradient_accumulation_steps)?;
        if rows == 0 {
            return Err(LengthError::NoRows);
        }
        let micro_batches_per_epoch = (rows as u64).div_ceil(batch);
        let steps_per_epoch = (micro_batches_per_epoch / accumulation).max(1);
        let (total_steps, num_train_epochs, samples_seen) = match config.max_steps {
            Some(steps) if steps > 0 => {
                let steps = steps as u64;
                (steps, steps.div_ceil(steps_per_epoch), steps as f64 * batch as f64 * accumulation as f64)
            }
            _ => {
                let epochs = config.num_train_epochs;
                if !(epochs > 0.0 && epochs.is_finite()) {
                    return Err(LengthError::Epochs { found: epochs });
                }
                ((epochs * steps_per_epoch as f64).ceil() as u64, epochs.ceil() as u64, rows as f64 * epochs)
            }
        };
        Ok(Self { micro_batches_per_epoch, steps_per_epoch, total_steps, num_train_epochs, samples_seen, accumulation })
    }

    /// Whether an optimizer step follows micro batch `number` (from 1, over the whole run).
    pub fn steps_after(&self, number: u64) -> bool {
        let epoch_ends = number.is_multiple_of(self.micro_batches_per_epoch);
        number.is_multiple_of(self.accumulation) || (epoch_ends && self.micro_batches_per_epoch <= self.accumulation)
    }

    /// Epochs passed after `micro_batches` of the run: whole ones plus the share of the current one.
    pub fn epoch_after(&self, micro_batches: u64) -> f64 {
        if micro_batches == 0 {
            return 0.0;
        }
        // As the Trainer adds it up, so that rounding agrees: the epoch's index + its finished share (1 at its end).
        let (epoch, place) =
            ((micro_batches - 1) / self.micro_batches_per_epoch, (micro_batches - 1) % self.micro_batches_per_epoch);
        epoch as f64 + (place + 1) as f64 / self.micro_batches_per_epoch as f64
    }
}

/// Optimizer steps of a run over `rows` rows: [`RunLength::total_steps`].
///
/// # Errors
/// As [`RunLength::new`].
pub fn total_steps(rows: usize, config: &TrainConfig) -> Result<u64, LengthError> {
    RunLength::new(rows, config).map(|length| length.total_steps)
}

/// The learning rate of every step; a plain function of the step's number, so nothing has to be saved for resuming.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    kind: SchedulerType,
    base: f64,
    warmup: u64,
    total: u64,
}

impl Schedule {
    /// The schedule of a run with `total_steps` steps.
    pub fn new(config: &TrainConfig, total_steps: u64) -> Self {
        let warmup = match config.warmup_steps {
            0 => (total_steps as f64 * config.warmup_ratio).ceil() as u64,
            steps => steps as u64,
        };
        Self { kind: config.lr_scheduler_type, base: config.learning_rate, warmup, total: total_steps }
    }

    /// Warm-up steps.
    pub fn warmup_steps(&self) -> u64 {
        self.warmup
    }

    /// Rate of the step that follows after `steps_done` steps.
    ///
    /// The first step's rate is `rate(0)`. The rate logged after a step is the next one's, so after the t-th step `rate(t)`.
    pub fn rate(&self, steps_done: u64) -> f64 {
        self.base * self.factor(steps_done)
    }

    /// Linear: (T−t)/(T−w); cosine: ½(1+cos(π(t−w)/(T−w))); before that t/w.
    fn factor(&self, step: u64) -> f64 {
        let (t, w, total) = (step as f64, self.warmup as f64, self.total as f64);
        if self.kind == SchedulerType::Constant {
            return 1.0;
        }
        if step < self.warmup {
            return t / w.max(1.0);
        }
        let rest = (total - w).max(1.0);
        match self.kind {
            SchedulerType::Linear => ((total - t) / rest).max(0.0),
            SchedulerType::Cosine => {
                let progress = (t - w) / rest;
                // The library multiplies by the number of cycles, 0.5, and by 2; both are exact.
                (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.0)
            }
            SchedulerType::Constant | SchedulerType::ConstantWithWarmup => 1.0,
        }
    }
}
