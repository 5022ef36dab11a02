//! What the memory of the machine lets a run keep, and how many micro batches it takes together.

use super::{Trainer, state};
use crate::config::Checkpointing;
use crate::{memory, pass};
use std::path::Path;

impl Trainer<'_> {
    /// Bytes that activations may take.
    pub(super) fn activation_budget(&self) -> u64 {
        match self.config.checkpointing {
            Checkpointing::Always => 0,
            Checkpointing::Never => u64::MAX,
            Checkpointing::Auto => {
                self.config.activation_budget.unwrap_or_else(|| memory::activation_budget(self.free()))
            }
        }
    }

    /// Tokens of a micro batch of the longest rows.
    pub(super) fn largest_micro_batch(&self) -> usize {
        pass::largest_micro_batch(self.rows.iter().map(|r| r.ids.len()), self.config.per_device_train_batch_size)
    }

    /// Rows of usual length in so many tokens.
    pub(super) fn usual_rows(&self, tokens: usize) -> usize {
        let all: usize = self.rows.iter().map(|r| r.ids.len()).sum();
        (tokens * self.rows.len()).div_ceil(all.max(1)).max(self.config.per_device_train_batch_size)
    }

    /// Bytes that a block keeps of `rows` rows of `tokens` in all.
    pub(super) fn block_activations(&self, tokens: usize, rows: usize) -> u64 {
        memory::block_activations(self.network.config(), tokens)
            + self.adapter.block_activations(self.network, tokens, rows)
    }

    /// Memory that is free, without what the system could have by dropping pages of weights that lie in files.
    fn free(&self) -> Option<u64> {
        memory::available().map(|free| free.saturating_sub(self.network.mapped_bytes() as u64))
    }

    /// Most tokens of a pass. A run that goes on keeps what it began with: sums of gradients would be rounded otherwise.
    pub(super) fn max_tokens_per_pass(&self, resume: Option<&Path>) -> usize {
        let saved = resume.filter(|_| self.config.max_tokens_per_pass.is_none());
        saved.and_then(state::saved_max_tokens_per_pass).unwrap_or_else(|| {
            let blocks = self.network.config().num_layers as u64;
            let bytes = |tokens| self.block_activations(tokens, self.usual_rows(tokens)) * blocks;
            pass::max_tokens(self.config, self.largest_micro_batch(), bytes, self.free())
        })
    }
}
