//! Everything that decides a run of `train`; saved with the run.

use std::path::PathBuf;

use glm_data::DataConfig;
use glm_infer::GenerationConfig;
use glm_train::TrainConfig;
use serde::{Deserialize, Serialize};

use super::adapter::AdapterConfig;
use super::base::BaseConfig;
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
    /// What trains or is used; `None`: the bare base.
    pub adapter: Option<AdapterConfig>,
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
    /// Put the trained adapter into the output folder itself too, as chatglm_tuning does.
    pub save_into_output_dir: bool,
    /// Go on from a checkpoint.
    pub resume: Option<Resume>,
    /// Folder for TensorBoard event files; `None`: not written.
    pub tensorboard: Option<PathBuf>,
    /// Show a progress bar.
    pub progress: bool,
    /// Threads to compute with; `None`: one a core.
    pub threads: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::sources::{Given, Source};
    use crate::args::verbs::TrainKeys;
    use crate::config::resolve;

    #[test]
    fn a_saved_run_reads_back_the_same() {
        let mut given = Given::<TrainKeys>::default();
        for (name, text) in [
            ("do_train", "true"),
            ("model_name_or_path", "base"),
            ("train_file", "rows.json"),
            ("output_dir", "out"),
            ("pre_seq_len", "8"),
            ("quantization_bit", "4"),
            ("quantization_group", "64"),
            ("resume_from_checkpoint", "out/checkpoint-3"),
            ("learning_rate", "0.013"),
            ("top_p", "0.83"),
        ] {
            given.set(name, text, Source::Flag).unwrap();
        }
        let (config, _) = resolve(&given, false).unwrap();
        let saved = serde_json::to_string_pretty(&config).unwrap();
        assert_eq!(serde_json::from_str::<RunConfig>(&saved).unwrap(), config);
        let unknown = saved.replacen("\"do_train\"", "\"do_trian\"", 1);
        assert!(serde_json::from_str::<RunConfig>(&unknown).is_err());

        let summary = config.summary();
        for part in
            ["base held in INT4 in groups of 64", "prefix of 8 positions, fresh", "resumed from out/checkpoint-3"]
        {
            assert!(summary.contains(part), "{summary}");
        }
    }
}
