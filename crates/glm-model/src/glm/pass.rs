//! What every block needs to know of one batch.

use crate::config::GlmConfig;
use crate::ops::{RopeTable, Span};
use glm_data::Batch;
use glm_kernels::cpu::rope::Heads;
use std::ops::Range;
use std::sync::Arc;

/// Rotary table and spans of a batch, shared by all blocks.
#[derive(Debug, Clone)]
pub struct Pass {
    rope: Arc<RopeTable>,
    spans: Arc<Vec<Span>>,
}

impl Pass {
    /// Prepares a batch. `past[i]` are the rows of the past tensors that segment `i` sees; empty: none for any.
    pub fn new(config: &GlmConfig, batch: &Batch, past: &[Range<usize>]) -> Self {
        let heads = Heads {
            stride: config.fused_width(),
            rotated: config.num_attention_heads + config.kv_groups,
            head_dim: config.head_dim,
            rotary: config.head_dim / 2,
        };
        let spans = batch
            .segments
            .iter()
            .enumerate()
            .map(|(i, s)| Span { start: s.start, len: s.len, past: past.get(i).cloned().unwrap_or(0..0) })
            .collect();
        let rope = Arc::new(RopeTable::new(&batch.positions, heads, config.rope_base));
        Self { rope, spans: Arc::new(spans) }
    }

    pub(super) fn rope(&self) -> &Arc<RopeTable> {
        &self.rope
    }

    pub(super) fn spans(&self) -> &Arc<Vec<Span>> {
        &self.spans
    }
}
