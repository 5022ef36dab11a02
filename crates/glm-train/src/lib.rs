//! The training loop of glmtune: optimizer, schedules, checkpoints, journal.

mod config;

pub use config::{Checkpointing, IntervalStrategy, Optim, SchedulerType, TrainConfig};
