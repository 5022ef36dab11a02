//! Forward pass: some queries of a sequence and group a task, all heads of the group in one product.

use super::{Scratch, Seen, Sequence, Shape, Task, gather, single, sized, split, weights};
use crate::cpu::gemm::{View, gemm};
use rayon::prelude::*;

/// `qkv [T, fused]`, `prefix [R, key_value]` → `out [T, heads * head_dim]`. Rows outside the sequences stay as they are.
///
/// # Panics
/// When two sequences share a row.
pub fn forward(shape: Shape, qkv: &[f32], prefix: &[f32], sequences: &[Sequence<'_>], out: &mut [f32]) {
    split(shape, out, shape.out(), sequences).into_par_iter().for_each(|Task { sequence, group, mut rows }| {
        let sequence = &sequences[sequence];
        if single::fits(shape, sequence) {
            return single::forward(shape, qkv, prefix, (sequence, group), rows[0]);
        }
        let seen = Seen::new(shape, qkv, prefix, sequence, group);
        let span = shape.span(sequence.len);
        let queries = &qkv[sequence.start * shape.fused() + group * shape.per_group() * shape.head_dim..];
        rows.par_chunks_mut(span).enumerate().for_each(|(n, rows)| {
            Scratch::with(|scratch| {
                for (m, rows) in rows.chunks_mut(shape.block()).enumerate() {
                    block(shape, queries, &seen, (sequence, n * span + m * shape.block()), rows, scratch);
                }
            });
        });
    });
}

/// Outputs `rows` of the queries `first` and following.
fn block(
    shape: Shape,
    queries: &[f32],
    seen: &Seen,
    (sequence, first): (&Sequence<'_>, usize),
    outputs: &mut [&mut [f32]],
    scratch: &mut Scratch,
) {
    let (dim, count) = (shape.head_dim, outputs.len());
    let (rows, keys) = (count * shape.per_group(), seen.past + sequence.visible(first + count - 1));
    let part = sized(&mut scratch.queries, rows * dim);
    gather(&queries[first * shape.fused()..], shape.fused(), part, count);
    let p = sized(&mut scratch.weights, rows * keys);
    weights(shape, part, seen, keys, (sequence, first), p);
    gemm((rows, dim, keys), part, dim, false, View::rows(p, keys), View::rows(&seen.values, dim), 1.0);
    for (output, values) in outputs.iter_mut().zip(part.chunks_exact(rows / count * dim)) {
        output.copy_from_slice(values);
    }
}
