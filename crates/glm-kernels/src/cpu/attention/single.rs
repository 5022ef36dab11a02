//! One new query, as when text is generated, of groups with few heads: keys and values are used so few times that copying
//! them together first does not pay.

use super::{Scratch, Sequence, Shape, sized, softmax};
use crate::cpu::gemm::{View, gemm};
use crate::cpu::isa::widest;

/// Least heads of a group for which it does.
const HEADS: usize = 4;

/// Whether a sequence is computed here.
pub(super) fn fits(shape: Shape, sequence: &Sequence<'_>) -> bool {
    sequence.len == 1 && shape.per_group() < HEADS
}

/// Output of the only query of a sequence, for the heads of one group.
pub(super) fn forward(
    shape: Shape,
    qkv: &[f32],
    prefix: &[f32],
    (sequence, group): (&Sequence<'_>, usize),
    output: &mut [f32],
) {
    let (dim, heads, kv) = (shape.head_dim, shape.per_group(), shape.key_value());
    let row = &qkv[sequence.start * shape.fused()..][..shape.fused()];
    let queries = View::rows(&row[group * heads * dim..], dim);
    // `[k groups | v groups]` of the rows that it sees: prefix, cache, its own.
    let past = &prefix[sequence.prefix.start * kv..sequence.prefix.end * kv];
    let runs = [past, sequence.cache, &row[shape.out()..]];
    let keys: usize = runs.iter().map(|run| run.len() / kv).sum();
    Scratch::with(|scratch| {
        let p = sized(&mut scratch.weights, heads * keys);
        let mut column = 0;
        for run in runs.iter().filter(|run| !run.is_empty()) {
            let k = View::new(&run[group * dim..], kv, 1).t();
            gemm((heads, run.len() / kv, dim), &mut p[column..], keys, false, queries, k, shape.scale());
            column += run.len() / kv;
        }
        widest(
            #[inline(always)]
            || {
                for row in p.chunks_exact_mut(keys) {
                    softmax(row, keys);
                }
            },
        );
        let mut column = 0;
        for run in runs.iter().filter(|run| !run.is_empty()) {
            let v = View::new(&run[(shape.groups + group) * dim..], kv, 1);
            let weights = View::new(&p[column..], keys, 1);
            gemm((heads, dim, run.len() / kv), output, dim, column > 0, weights, v, 1.0);
            column += run.len() / kv;
        }
    });
}
