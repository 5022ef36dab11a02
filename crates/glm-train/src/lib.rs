//! The training loop of glmtune: optimizer, schedules, checkpoints, journal.

mod adapter;
pub mod clip;
mod config;
mod error;
pub mod journal;
pub mod measure;
pub mod memory;
pub mod optim;
pub mod pass;
pub mod run_dir;
pub mod schedule;
pub mod step;
pub mod trainer;

pub use adapter::{Adapter, lora_activations, prefix_activations};
pub use config::{Checkpointing, IntervalStrategy, Optim, SchedulerType, TrainConfig};
pub use error::{Result, TrainError};
pub use glm_model::atomic;
pub use trainer::{Observer, Outcome, Plan, StepReport, Trainer};
