//! What every block needs to know of one batch.

use crate::config::GlmConfig;
use crate::ops::{RopeTable, Span};
use crate::variant::{QkvLayout, Rotary};
use glm_data::Batch;
use glm_kernels::cpu::rope::{Heads, Pairing};
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
        let heads = |rotary: usize, pairing: Pairing| Heads {
            stride: config.fused_width(),
            rotated: config.num_attention_heads + config.kv_groups,
            head_dim: config.head_dim,
            rotary,
            pairing,
        };
        let rope = match config.knobs.rotary {
            Rotary::HalfOfHead { base } => {
                RopeTable::neighbours(&batch.positions, heads(config.head_dim / 2, Pairing::Neighbours), base)
            }
            Rotary::TwoPositions => {
                let heads = heads(config.head_dim, Pairing::Sections);
                RopeTable::sections(&batch.positions, &batch.block_positions, heads)
            }
        };
        let rope = match config.knobs.qkv {
            QkvLayout::Parts => rope,
            QkvLayout::Heads => rope.from_rows_by_head(config.num_attention_heads),
        };
        let spans = batch
            .segments
            .iter()
            .enumerate()
            .map(|(i, s)| Span {
                start: s.start,
                len: s.len,
                context: s.context_len,
                past: past.get(i).cloned().unwrap_or(0..0),
            })
            .collect();
        Self { rope: Arc::new(rope), spans: Arc::new(spans) }
    }

    pub(super) fn rope(&self) -> &Arc<RopeTable> {
        &self.rope
    }

    pub(super) fn spans(&self) -> &Arc<Vec<Span>> {
        &self.spans
    }
}
