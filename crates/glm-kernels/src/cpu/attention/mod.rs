//! Attention over packed sequences with grouped key/value heads, prefix rows and a cache; causal but for a context that
//! sees all of itself.
//!
//! Layouts: a fused row is `[q heads | k groups | v groups] × head_dim`; a prefix or cache row is
//! `[k groups | v groups] × head_dim`. Every query sees its whole prefix and cache, then the new rows up to itself or to the
//! end of its context, whichever is later. Query head `j` reads group `j / (heads / groups)`; scores are divided by
//! `sqrt(head_dim)` (Vaswani et al. 2017). ChatGLM-6B divides them by the number of the layer as well and multiplies by it
//! before the softmax: that keeps half precision in range and changes nothing in f32, so it is left out. Its masked scores
//! are -10000, whose weight is 0 in f32 as soon as one score is not masked.

mod backward;
mod forward;
pub mod scalar;

pub use backward::backward;
pub use forward::forward;

use super::gemm::View;
use super::isa::widest;
use super::{lanes, math};
use std::ops::Range;

/// Head counts and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Query heads.
    pub heads: usize,
    /// Key/value heads.
    pub groups: usize,
    /// Values of a head.
    pub head_dim: usize,
}

impl Shape {
    /// Values of a fused row.
    pub fn fused(self) -> usize {
        (self.heads + 2 * self.groups) * self.head_dim
    }

    /// Values of a prefix or cache row.
    pub fn key_value(self) -> usize {
        2 * self.groups * self.head_dim
    }

    /// Values of an output row.
    pub fn out(self) -> usize {
        self.heads * self.head_dim
    }

    fn scale(self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }
}

/// One packed sequence.
#[derive(Debug, Clone)]
pub struct Sequence<'a> {
    /// First new row.
    pub start: usize,
    /// Number of new rows.
    pub len: usize,
    /// Leading new rows that all see one another; 0 where every row sees only those before it.
    pub context: usize,
    /// Its rows of the prefix buffer; may be empty and may be shared with other sequences.
    pub prefix: Range<usize>,
    /// Rows computed earlier.
    pub cache: &'a [f32],
}

/// Queries whose scores are held at a time.
const QUERIES: usize = 128;

/// Keys or values of one group inside some rows.
#[derive(Clone, Copy)]
struct Run<'a> {
    data: &'a [f32],
    stride: usize,
    key: usize,
    value: usize,
    rows: usize,
}

impl Sequence<'_> {
    /// New rows that new row `i` sees.
    fn visible(&self, i: usize) -> usize {
        (i + 1).max(self.context.min(self.len))
    }
}

impl<'a> Run<'a> {
    fn keys(&self) -> View<'a> {
        View::new(&self.data[self.key..], self.stride, 1)
    }

    fn values(&self) -> View<'a> {
        View::new(&self.data[self.value..], self.stride, 1)
    }
}

/// The rows that a sequence sees, in order: prefix, cache, its own. Empty runs are left out.
fn runs<'a>(shape: Shape, qkv: &'a [f32], prefix: &'a [f32], sequence: &Sequence<'a>, group: usize) -> Vec<Run<'a>> {
    let (kv, fused, dim) = (shape.key_value(), shape.fused(), shape.head_dim);
    let past = |data: &'a [f32]| Run {
        data,
        stride: kv,
        key: group * dim,
        value: (shape.groups + group) * dim,
        rows: data.len() / kv,
    };
    let own = Run {
        data: &qkv[sequence.start * fused..(sequence.start + sequence.len) * fused],
        stride: fused,
        key: (shape.heads + group) * dim,
        value: (shape.heads + shape.groups + group) * dim,
        rows: sequence.len,
    };
    let prefix = &prefix[sequence.prefix.start * kv..sequence.prefix.end * kv];
    [past(prefix), past(sequence.cache), own].into_iter().filter(|run| run.rows > 0).collect()
}

/// Softmax of the first `visible` values of a row; the others become 0.
#[inline(always)]
fn softmax(row: &mut [f32], visible: usize) {
    let (seen, hidden) = row.split_at_mut(visible);
    let max = lanes::max(seen);
    for v in seen.iter_mut() {
        *v = math::exp(*v - max);
    }
    let inverse = 1.0 / lanes::sum(seen, |v| v);
    for v in seen.iter_mut() {
        *v *= inverse;
    }
    hidden.fill(0.0);
}

/// Attention weights of queries `first..first + rows` of one head of a sequence: `[rows, keys]`.
fn weights(
    shape: Shape,
    queries: View<'_>,
    runs: &[Run<'_>],
    keys: usize,
    (sequence, first): (&Sequence<'_>, usize),
    out: &mut [f32],
) {
    let rows = out.len() / keys;
    let mut column = 0;
    for run in runs {
        super::gemm::gemm(
            (rows, run.rows, shape.head_dim),
            &mut out[column..],
            keys,
            false,
            queries,
            run.keys().t(),
            shape.scale(),
        );
        column += run.rows;
    }
    let past = keys - sequence.len;
    widest(
        #[inline(always)]
        || {
            for (i, row) in out.chunks_exact_mut(keys).enumerate() {
                softmax(row, past + sequence.visible(first + i));
            }
        },
    );
}

#[cfg(test)]
mod tests;
