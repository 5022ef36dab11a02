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
mod seen;
mod single;

pub use backward::backward;
pub use forward::forward;

use super::gemm::{View, gemm};
use super::isa::widest;
use super::{lanes, math};
use seen::Seen;
use std::cell::Cell;
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

    fn per_group(self) -> usize {
        self.heads / self.groups
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

/// Queries of all heads of a group whose scores are held at a time: as many rows of scores as keep the products busy.
const ROWS: usize = 256;
/// Most queries of them: a block computes the scores of all keys that its last query sees, so fewer waste less.
const QUERIES: usize = 64;
/// Tasks that the groups of a long sequence make. A constant, so that sums have one order on every machine.
const TASKS: usize = 16;

impl Shape {
    /// Queries of a block.
    fn block(self) -> usize {
        (ROWS / self.per_group()).clamp(1, QUERIES)
    }

    /// Queries of a task: whole blocks.
    fn span(self, len: usize) -> usize {
        let blocks = len.div_ceil(self.block());
        blocks.div_ceil((TASKS / self.groups).max(1)).max(1) * self.block()
    }
}

impl Sequence<'_> {
    /// New rows that new row `i` sees.
    fn visible(&self, i: usize) -> usize {
        (i + 1).max(self.context.min(self.len))
    }
}

/// Buffers of a block, kept by each thread from one block to the next.
#[derive(Default)]
struct Scratch {
    /// `[rows, head_dim]`.
    queries: Vec<f32>,
    grads: Vec<f32>,
    /// `[rows, keys]`.
    weights: Vec<f32>,
    dweights: Vec<f32>,
}

impl Scratch {
    /// Runs `work` with the buffers of this thread.
    fn with<R>(work: impl FnOnce(&mut Self) -> R) -> R {
        thread_local!(static KEPT: Cell<Scratch> = Cell::default());
        let mut scratch = KEPT.take();
        let result = work(&mut scratch);
        KEPT.set(scratch);
        result
    }
}

/// The first `len` values of a buffer, whatever they are.
fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// `count` pieces of equal width, one every `stride` values, one after the other.
fn gather(source: &[f32], stride: usize, target: &mut [f32], count: usize) {
    let width = target.len() / count;
    for (target, source) in target.chunks_exact_mut(width).zip(source.chunks(stride)) {
        target.copy_from_slice(&source[..width]);
    }
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

/// Attention weights `[rows, keys]` of the queries `[rows, head_dim]` of a block, `first` the first of them: rows are query
/// after query, head after head, over the first `keys` rows seen.
fn weights(
    shape: Shape,
    queries: &[f32],
    seen: &Seen,
    keys: usize,
    (sequence, first): (&Sequence<'_>, usize),
    out: &mut [f32],
) {
    let (rows, dim) = (out.len() / keys, shape.head_dim);
    let k = View::rows(&seen.keys, dim).t();
    gemm((rows, keys, dim), out, keys, false, View::rows(queries, dim), k, shape.scale());
    widest(
        #[inline(always)]
        || {
            for (i, row) in out.chunks_exact_mut(keys).enumerate() {
                softmax(row, seen.past + sequence.visible(first + i / shape.per_group()));
            }
        },
    );
}

/// Queries of one sequence and group.
struct Task<'a> {
    sequence: usize,
    group: usize,
    /// Their places in the result, `heads of the group * head_dim` values each.
    rows: Vec<&'a mut [f32]>,
}

/// The tasks, sequence after sequence and group after group. `result` has rows of `stride`, which begin with the values of
/// the heads.
///
/// # Panics
/// When two sequences share a row.
fn split<'a>(shape: Shape, result: &'a mut [f32], stride: usize, sequences: &[Sequence<'_>]) -> Vec<Task<'a>> {
    let (groups, width) = (shape.groups, shape.per_group() * shape.head_dim);
    let heads = result.chunks_exact_mut(stride).map(|row| &mut row[..shape.out()]);
    let mut pieces: Vec<Option<&mut [f32]>> = heads.flat_map(|row| row.chunks_exact_mut(width)).map(Some).collect();
    let mut tasks = Vec::with_capacity(sequences.len() * groups);
    for (s, sequence) in sequences.iter().enumerate() {
        for group in 0..groups {
            let rows = sequence.start..sequence.start + sequence.len;
            let take = |row: usize| pieces[row * groups + group].take().expect("sequences share no row");
            tasks.push(Task { sequence: s, group, rows: rows.map(take).collect() });
        }
    }
    tasks
}

#[cfg(test)]
mod tests;
