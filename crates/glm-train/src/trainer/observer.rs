//! What the loop tells whoever watches it.

use crate::journal::Metrics;
use std::path::Path;
use std::time::Duration;

/// What is known before the first step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Optimizer steps of the whole run.
    pub total_steps: u64,
    /// Steps done before, when the run resumes.
    pub resumed_at: u64,
    /// Training rows.
    pub rows: usize,
    /// Passes over the rows, the last one possibly cut short.
    pub epochs: f64,
    /// Blocks of the network.
    pub blocks: usize,
    /// Blocks that keep their activations for the longest pass; the others are recomputed.
    pub kept_blocks: usize,
    /// Micro batches of a step go through the network together up to so many tokens; 0: each goes alone.
    pub max_tokens: usize,
}

/// One optimizer step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Steps done, this one included.
    pub step: u64,
    /// Mean loss of its micro batches.
    pub loss: f64,
    /// Rate that it used.
    pub learning_rate: f64,
    /// Norm of the gradients before clipping.
    pub grad_norm: f32,
    /// Rows seen since the process began to train.
    pub samples: u64,
    /// Tokens seen since the process began to train.
    pub tokens: u64,
    /// Time since the process began to train.
    pub elapsed: Duration,
}

/// Receives progress. Every method has an empty default.
pub trait Observer {
    /// Before the first step.
    fn started(&mut self, _plan: &Plan) {}
    /// After a pass: `done` of `of` micro batches of the step that runs.
    fn micro_batches(&mut self, _done: usize, _of: usize) {}
    /// After an optimizer step.
    fn stepped(&mut self, _report: &StepReport) {}
    /// A log entry, as it goes into the journal.
    fn logged(&mut self, _entry: &Metrics) {}
    /// During an evaluation.
    fn evaluating(&mut self, _rows_done: usize, _rows: usize) {}
    /// A checkpoint is complete.
    fn saved(&mut self, _checkpoint: &Path) {}
}

/// Watches nothing.
impl Observer for () {}
