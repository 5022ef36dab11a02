//! Settings of `doctor` and `bench`.

use std::path::PathBuf;

use super::base::{BaseConfig, Quantization};
use super::outputs;
use crate::args::machine::{BenchKeys, DoctorKeys, Parts};
use crate::args::model::ModelArgs;
use crate::args::sources::Given;
use crate::args::usage::{Remark, UsageError, refuse};

/// Most tokens of a row or prompt that is timed.
const MOST_TOKENS: usize = 8192;
/// Most rows of a micro batch that is timed.
const MOST_ROWS: usize = 64;
/// Positions of a prefix that are usual.
const PREFIX: usize = 128;

/// Settings of `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoctorSettings {
    /// Print json.
    pub json: bool,
    /// Threads to compute with; `None`: one a core.
    pub threads: Option<usize>,
}

impl DoctorSettings {
    /// Resolves the keys.
    ///
    /// # Errors
    /// When the number of threads is out of range.
    pub fn resolve(given: &Given<DoctorKeys>) -> Result<Self, UsageError> {
        Ok(Self { json: given.keys.json, threads: outputs::threads(given, given.keys.threads)? })
    }
}

/// Settings of `bench`.
#[derive(Debug, Clone)]
pub struct BenchSettings {
    /// The base; its path does not matter with `demo`.
    pub base: BaseConfig,
    /// Whether no base was named: kernels run at the sizes of ChatGLM2-6B, the rest on the demo's base.
    pub demo: bool,
    /// Whether the form of the base was asked for, so that kernels are timed in this form alone.
    pub one_form: bool,
    /// Print json.
    pub json: bool,
    /// What to measure.
    pub parts: Parts,
    /// Blocks to load.
    pub blocks: usize,
    /// Rows of a micro batch.
    pub rows: usize,
    /// Tokens of the prompt of a row.
    pub prompt: usize,
    /// Tokens of its answer.
    pub answer: usize,
    /// Positions of the prefix.
    pub pre_seq_len: usize,
    /// Whether a small network makes the prefix.
    pub prefix_projection: bool,
    /// Rank of the LoRA.
    pub lora_rank: usize,
    /// Tokens of the prompt before an answer.
    pub context: usize,
    /// Threads to compute with; `None`: one a core.
    pub threads: Option<usize>,
}

impl BenchSettings {
    /// Resolves the keys.
    ///
    /// # Errors
    /// Names the key that is out of range or has no effect.
    pub fn resolve(given: &Given<BenchKeys>) -> Result<(Self, Vec<Remark>), UsageError> {
        let mut remarks = Vec::new();
        given.check_status(&mut remarks)?;
        let (bench, model) = (&given.keys.bench, &given.keys.model);
        if given.has("ptuning_checkpoint") {
            refuse!(
                "{} does not go with bench: what a prefix holds does not change its speed, so give its --pre_seq_len",
                given.place("ptuning_checkpoint")
            );
        }
        let pre_seq_len = model.pre_seq_len.unwrap_or(PREFIX);
        for (name, found, most) in [
            ("blocks", bench.blocks, usize::MAX),
            ("per_device_train_batch_size", bench.per_device_train_batch_size, MOST_ROWS),
            ("prompt_tokens", bench.prompt_tokens, MOST_TOKENS),
            ("answer_tokens", bench.answer_tokens, MOST_TOKENS),
            ("context", bench.context, MOST_TOKENS),
            ("pre_seq_len", pre_seq_len, MOST_TOKENS),
            ("lora_rank", bench.lora_rank, usize::MAX),
        ] {
            if found == 0 {
                refuse!("{}: expected 1 or more, found 0", given.place(name));
            }
            if found > most {
                refuse!("{}: expected at most {most}, found {found}", given.place(name));
            }
        }
        let demo = model.model_name_or_path.is_none();
        let path = model.model_name_or_path.clone().unwrap_or_else(|| PathBuf::from("demo"));
        let model = ModelArgs { model_name_or_path: Some(path), ..model.clone() };
        let mut base = BaseConfig::new(given, &model, &given.keys.base)?;
        base.remark(given, &mut remarks);
        let one_form = given.has("quantization_bit") || given.has("base_dtype");
        if demo && !one_form {
            base.quantization = Some(Quantization::Int4);
        }
        let settings = Self {
            base,
            demo,
            one_form,
            json: bench.json,
            parts: bench.parts.clone(),
            blocks: bench.blocks,
            rows: bench.per_device_train_batch_size,
            prompt: bench.prompt_tokens,
            answer: bench.answer_tokens,
            pre_seq_len,
            prefix_projection: model.prefix_projection,
            lora_rank: bench.lora_rank,
            context: bench.context,
            threads: outputs::threads(given, given.keys.base.threads)?,
        };
        Ok((settings, remarks))
    }
}
