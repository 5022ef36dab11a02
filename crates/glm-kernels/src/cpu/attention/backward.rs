//! Backward pass: the weights are computed again, not kept. With `P` the weights and `O` the output,
//! `dV = Pᵀ dO`, `dP = dO Vᵀ`, `dS = P ∘ (dP - rowsum(dP ∘ P))`, `dQ = dS K / sqrt(d)`, `dK = dSᵀ Q / sqrt(d)`.

use super::{Scratch, Seen, Sequence, Shape, Task, gather, sized, split, weights};
use crate::cpu::gemm::{View, gemm};
use crate::cpu::isa::widest;
use crate::cpu::lanes;
use rayon::prelude::*;

/// Gradients of the first keys and values that a sequence and group sees, `[keys, head_dim]` each.
struct Part {
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// From `dout [T, heads * head_dim]` the gradients `dqkv [T, fused]` and `dprefix [R, key_value]`; prefix rows that
/// several sequences share get the sum. Both are overwritten, with 0 outside the sequences.
///
/// # Panics
/// When a sequence has a cache, as cached rows carry no gradient, or when two sequences share a row.
pub fn backward(
    shape: Shape,
    qkv: &[f32],
    prefix: &[f32],
    sequences: &[Sequence<'_>],
    dout: &[f32],
    dqkv: &mut [f32],
    dprefix: &mut [f32],
) {
    assert!(sequences.iter().all(|s| s.cache.is_empty()), "attention: no gradient flows into a cache");
    let (fused, kv) = (shape.fused(), shape.key_value());
    // One a sequence and group, in the order of the tasks.
    let parts: Vec<Part> = split(shape, dqkv, fused, sequences)
        .into_par_iter()
        .map(|Task { sequence, group, mut rows }| {
            let sequence = &sequences[sequence];
            let seen = Seen::new(shape, qkv, prefix, sequence, group);
            let span = shape.span(sequence.len);
            let at = group * shape.per_group() * shape.head_dim;
            let sources = (&qkv[sequence.start * fused + at..], &dout[sequence.start * shape.out() + at..]);
            let parts: Vec<Part> = rows
                .par_chunks_mut(span)
                .enumerate()
                .map(|(n, rows)| span_backward(shape, sources, &seen, (sequence, n * span), rows))
                .collect();
            total(parts)
        })
        .collect();
    let mut outside = vec![true; dqkv.len() / fused];
    for (sequence, parts) in sequences.iter().zip(parts.chunks_exact(shape.groups)) {
        let rows = sequence.start..sequence.start + sequence.len;
        outside[rows.clone()].fill(false);
        let rows = &mut dqkv[rows.start * fused..rows.end * fused];
        rows.par_chunks_exact_mut(fused).enumerate().for_each(|(i, row)| {
            let row = &mut row[shape.out()..];
            each_group(shape, parts, sequence.prefix.len() + i, row, |target, values| target.copy_from_slice(values));
        });
    }
    let rows = dqkv.chunks_exact_mut(fused).zip(outside);
    rows.filter(|(_, outside)| *outside).for_each(|(row, _)| row.fill(0.0));
    // Added up in the order of the sequences, so that the result does not depend on which thread was first.
    dprefix.par_chunks_exact_mut(kv).enumerate().for_each(|(r, row)| {
        row.fill(0.0);
        for (sequence, parts) in sequences.iter().zip(parts.chunks_exact(shape.groups)) {
            if sequence.len > 0 && sequence.prefix.contains(&r) {
                each_group(shape, parts, r - sequence.prefix.start, row, add);
            }
        }
    });
}

/// Brings gradient `i` of the keys and values of every group to its place in `row [k groups | v groups]`.
fn each_group(shape: Shape, parts: &[Part], i: usize, row: &mut [f32], bring: impl Fn(&mut [f32], &[f32])) {
    let dim = shape.head_dim;
    let (keys, values) = row.split_at_mut(shape.groups * dim);
    let targets = keys.chunks_exact_mut(dim).zip(values.chunks_exact_mut(dim));
    for (part, (key, value)) in parts.iter().zip(targets) {
        bring(key, &part.keys[i * dim..][..dim]);
        bring(value, &part.values[i * dim..][..dim]);
    }
}

fn add(target: &mut [f32], values: &[f32]) {
    target.iter_mut().zip(values).for_each(|(t, v)| *t += v);
}

/// The sum of parts; later ones are longer.
fn total(parts: Vec<Part>) -> Part {
    parts
        .into_iter()
        .reduce(|shorter, mut longer| {
            add(&mut longer.keys, &shorter.keys);
            add(&mut longer.values, &shorter.values);
            longer
        })
        .unwrap_or(Part { keys: Vec::new(), values: Vec::new() })
}

/// Gradients of the queries `first` and following, to `dqueries`, and their share in those of keys and values. `sources`
/// are the rows of queries and of output gradients from the first of the sequence and group on.
fn span_backward(
    shape: Shape,
    sources: (&[f32], &[f32]),
    seen: &Seen,
    (sequence, first): (&Sequence<'_>, usize),
    dqueries: &mut [&mut [f32]],
) -> Part {
    let last = first + dqueries.len() - 1;
    let room = (seen.past + sequence.visible(last)) * shape.head_dim;
    let mut part = Part { keys: vec![0.0; room], values: vec![0.0; room] };
    Scratch::with(|scratch| {
        for (n, dqueries) in dqueries.chunks_mut(shape.block()).enumerate() {
            block(shape, sources, seen, (sequence, first + n * shape.block()), dqueries, &mut part, scratch);
        }
    });
    part
}

fn block(
    shape: Shape,
    (queries, dout): (&[f32], &[f32]),
    seen: &Seen,
    (sequence, first): (&Sequence<'_>, usize),
    dqueries: &mut [&mut [f32]],
    part: &mut Part,
    scratch: &mut Scratch,
) {
    let (dim, count) = (shape.head_dim, dqueries.len());
    let (rows, keys) = (count * shape.per_group(), seen.past + sequence.visible(first + count - 1));
    let q = sized(&mut scratch.queries, rows * dim);
    gather(&queries[first * shape.fused()..], shape.fused(), q, count);
    let g = sized(&mut scratch.grads, rows * dim);
    gather(&dout[first * shape.out()..], shape.out(), g, count);
    let p = sized(&mut scratch.weights, rows * keys);
    weights(shape, q, seen, keys, (sequence, first), p);
    let dp = sized(&mut scratch.dweights, rows * keys);
    gemm((rows, keys, dim), dp, keys, false, View::rows(g, dim), View::rows(&seen.values, dim).t(), 1.0);
    gemm((keys, dim, rows), &mut part.values, dim, true, View::rows(p, keys).t(), View::rows(g, dim), 1.0);
    widest(
        #[inline(always)]
        || {
            for (p, dp) in p.chunks_exact(keys).zip(dp.chunks_exact_mut(keys)) {
                let dot = lanes::dot(p, dp);
                for (d, p) in dp.iter_mut().zip(p) {
                    *d = p * (*d - dot);
                }
            }
        },
    );
    let ds = View::rows(dp, keys);
    gemm((keys, dim, rows), &mut part.keys, dim, true, ds.t(), View::rows(q, dim), shape.scale());
    // The gradients of the output are not needed any more: their buffer takes those of the queries.
    gemm((rows, dim, keys), g, dim, false, ds, View::rows(&seen.keys, dim), shape.scale());
    for (target, values) in dqueries.iter_mut().zip(g.chunks_exact(rows / count * dim)) {
        target.copy_from_slice(values);
    }
}
