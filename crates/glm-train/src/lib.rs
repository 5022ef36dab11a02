//! The training loop of glmtune: optimizer, schedules, checkpoints, journal.

pub mod atomic;
pub mod clip;
mod config;
pub mod journal;
pub mod optim;
pub mod run_dir;
pub mod schedule;

pub use config::{Checkpointing, IntervalStrategy, Optim, SchedulerType, TrainConfig};
