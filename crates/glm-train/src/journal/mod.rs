//! What a run writes about itself: the Trainer's json files, a line log, TensorBoard events and the loss curve.
//!
//! No writer here turns NaN or infinity into 0, into `null` or into nothing: each refuses it and names the key.

mod curve;
mod error;
mod metrics;
pub mod python_json;
mod results;
mod tensorboard;
mod trainer_log;
mod trainer_state;

pub use curve::{Curve, save_curve};
pub use error::JournalError;
pub use metrics::Metrics;
pub use results::{Split, TrainSummary, results_path, save_results, split_metrics};
pub use tensorboard::EventWriter;
pub use trainer_log::{LogLine, TrainerLog};
pub use trainer_state::TrainerState;
