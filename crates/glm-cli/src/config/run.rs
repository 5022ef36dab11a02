//! Everything that decides a run of `train`; saved with the run.

use std::path::PathBuf;

use glm_data::DataConfig;
use glm_infer::GenerationConfig;
use glm_train::TrainConfig;
use serde::{Deserialize, Serialize};

use super::base::{AdapterConfig, BaseConfig};
use crate::args::types::Resume;

/// Files of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Rows to train on; present with `do_train`.
    pub train: Option<PathBuf>,
    /// Rows to evaluate on; present with `do_eval`.
    pub validation: Option<PathBuf>,
    /// Rows to predict; present with `do_predict`.
    pub test: Option<PathBuf>,
}

/// Most rows of each file; `None`: all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleLimits {
    /// Of the training rows.
    pub train: Option<usize>,
    /// Of the validation rows.
    pub eval: Option<usize>,
    /// Of the test rows.
    pub predict: Option<usize>,
}

/// A run of `train`: defaults, file and flags resolved, checked and typed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Version of glmtune that resolved it.
    pub version: String,
    /// Train.
    pub do_train: bool,
    /// Evaluate on the validation rows.
    pub do_eval: bool,
    /// Answer the test rows and score the answers.
    pub do_predict: bool,
    /// Evaluate the validation rows by generating answers too.
    pub predict_with_generate: bool,
    /// The frozen base.
    pub base: BaseConfig,
    /// The prefix; `None` evaluates the bare base.
    pub adapter: Option<AdapterConfig>,
    /// Dropout on the prefix in training.
    pub prefix_dropout: f32,
    /// Files of rows.
    pub files: Files,
    /// Most rows of each.
    pub samples: SampleLimits,
    /// How rows become samples in training.
    pub data: DataConfig,
    /// Most tokens of a reference answer in evaluation and prediction.
    pub val_max_target_length: usize,
    /// The training loop.
    pub train: TrainConfig,
    /// How answers are generated.
    pub generation: GenerationConfig,
    /// Folder for checkpoints and results.
    pub output_dir: PathBuf,
    /// Train into a folder that holds something already.
    pub overwrite_output_dir: bool,
    /// Go on from a checkpoint.
    pub resume: Option<Resume>,
    /// Folder for TensorBoard event files; `None`: not written.
    pub tensorboard: Option<PathBuf>,
    /// Show a progress bar.
    pub progress: bool,
    /// Threads to compute with; `None`: one a core.
    pub threads: Option<usize>,
}
