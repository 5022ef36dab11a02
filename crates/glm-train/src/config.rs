//! Everything that decides how a run trains; saved with the run.

use serde::{Deserialize, Serialize};

/// Which AdamW: the two that the official scripts use differ in where epsilon and weight decay enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optim {
    /// transformers' own AdamW, the default of the official `main.py`.
    AdamwHf,
    /// `torch.optim.AdamW`.
    AdamwTorch,
}

/// Learning-rate schedule; every one but `constant` may be preceded by a linear warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchedulerType {
    /// Falls linearly to 0 at the last step.
    Linear,
    /// Half a cosine to 0 at the last step.
    Cosine,
    /// Always the base rate.
    Constant,
    /// The base rate after the warm-up.
    ConstantWithWarmup,
}

/// When activations are recomputed in the backward pass instead of kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Checkpointing {
    /// Recompute every block.
    Always,
    /// Keep every block's activations.
    Never,
    /// Keep as many blocks as the memory budget allows.
    Auto,
}

/// When to save or evaluate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntervalStrategy {
    /// Never during the run (a final save is made always).
    No,
    /// Every so many optimizer steps.
    Steps,
    /// At the end of every epoch.
    Epoch,
}

/// Settings of the training loop, named as in transformers' `TrainingArguments`, with the same defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Rows in one micro batch.
    pub per_device_train_batch_size: usize,
    /// Rows in one evaluation batch.
    pub per_device_eval_batch_size: usize,
    /// Micro batches whose gradients add up to one optimizer step.
    pub gradient_accumulation_steps: usize,
    /// Base learning rate.
    pub learning_rate: f64,
    /// Optimizer steps; `None`: as many as `num_train_epochs` needs.
    pub max_steps: Option<usize>,
    /// Passes over the data when `max_steps` is not given; may be a fraction.
    pub num_train_epochs: f64,
    /// Schedule of the learning rate.
    pub lr_scheduler_type: SchedulerType,
    /// Warm-up steps; wins over `warmup_ratio` when not 0.
    pub warmup_steps: usize,
    /// Warm-up steps as a share of all steps, rounded up.
    pub warmup_ratio: f64,
    /// Optimizer.
    pub optim: Optim,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// First-moment decay.
    pub adam_beta1: f64,
    /// Second-moment decay.
    pub adam_beta2: f64,
    /// Adam's epsilon.
    pub adam_epsilon: f64,
    /// Largest norm of all gradients together; 0 turns clipping off.
    pub max_grad_norm: f64,
    /// Steps between log entries.
    pub logging_steps: usize,
    /// Also log the first step.
    pub logging_first_step: bool,
    /// When to save.
    pub save_strategy: IntervalStrategy,
    /// Steps between saves.
    pub save_steps: usize,
    /// Checkpoints kept; the oldest go first.
    pub save_total_limit: Option<usize>,
    /// When to evaluate.
    pub evaluation_strategy: IntervalStrategy,
    /// Steps between evaluations; `None`: `logging_steps`.
    pub eval_steps: Option<usize>,
    /// Seed of everything random: order of rows, dropout, initial prefix.
    pub seed: u64,
    /// Seed of the order of rows; `None`: `seed`.
    pub data_seed: Option<u64>,
    /// Recompute or keep activations.
    pub checkpointing: Checkpointing,
    /// Bytes that kept activations may take under [`Checkpointing::Auto`]; `None`: half of the free memory.
    pub activation_budget: Option<u64>,
    /// Micro batches of a step go through the network together up to so many tokens; `None`: as many as suit the memory.
    pub max_tokens_per_pass: Option<usize>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            per_device_train_batch_size: 8,
            per_device_eval_batch_size: 8,
            gradient_accumulation_steps: 1,
            learning_rate: 5e-5,
            max_steps: None,
            num_train_epochs: 3.0,
            lr_scheduler_type: SchedulerType::Linear,
            warmup_steps: 0,
            warmup_ratio: 0.0,
            optim: Optim::AdamwHf,
            weight_decay: 0.0,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            max_grad_norm: 1.0,
            logging_steps: 500,
            logging_first_step: false,
            save_strategy: IntervalStrategy::Steps,
            save_steps: 500,
            save_total_limit: None,
            evaluation_strategy: IntervalStrategy::No,
            eval_steps: None,
            seed: 42,
            data_seed: None,
            checkpointing: Checkpointing::Auto,
            activation_budget: None,
            max_tokens_per_pass: None,
        }
    }
}
