//! Keys and values of one group.

use super::{Sequence, Shape};

/// The rows that a sequence sees, in order: prefix, cache, its own. They are copied together, once a sequence and group:
/// in the fused rows they stand many pages apart, and every product would walk through them anew.
pub(super) struct Seen {
    /// `[rows, head_dim]`.
    pub keys: Vec<f32>,
    /// `[rows, head_dim]`.
    pub values: Vec<f32>,
    /// Rows of prefix and cache.
    pub past: usize,
}

impl Seen {
    pub fn new(shape: Shape, qkv: &[f32], prefix: &[f32], sequence: &Sequence<'_>, group: usize) -> Self {
        let dim = shape.head_dim;
        let past = sequence.prefix.len() + sequence.cache.len() / shape.key_value();
        let room = (past + sequence.len) * dim;
        let mut seen = Self { keys: Vec::with_capacity(room), values: Vec::with_capacity(room), past };
        let (kv, fused) = (shape.key_value(), shape.fused());
        let prefix = prefix[sequence.prefix.start * kv..sequence.prefix.end * kv].chunks_exact(kv);
        let own = qkv[sequence.start * fused..(sequence.start + sequence.len) * fused].chunks_exact(fused);
        for row in prefix.chain(sequence.cache.chunks_exact(kv)).chain(own.map(|row| &row[shape.out()..])) {
            seen.keys.extend_from_slice(&row[group * dim..][..dim]);
            seen.values.extend_from_slice(&row[(shape.groups + group) * dim..][..dim]);
        }
        seen
    }
}
