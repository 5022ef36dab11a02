//! Backward pass: the weights are computed again, not kept. With `P` the weights and `O` the output,
//! `dV = Pᵀ dO`, `dP = dO Vᵀ`, `dS = P ∘ (dP - rowsum(dP ∘ P))`, `dQ = dS K / sqrt(d)`, `dK = dSᵀ Q / sqrt(d)`.

use super::{QUERIES, Sequence, Shape, runs, weights};
use crate::cpu::gemm::{View, gemm};
use rayon::prelude::*;

/// Gradients of one sequence and group: queries `[len, heads of the group, dim]`, then keys and values of every row seen.
struct Part {
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// From `dout [T, heads * head_dim]` the gradients `dqkv [T, fused]` and `dprefix [R, key_value]`; prefix rows that
/// several sequences share get the sum. Both are overwritten.
///
/// # Panics
/// When a sequence has a cache: cached rows carry no gradient.
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
    let (dim, fused, kv) = (shape.head_dim, shape.fused(), shape.key_value());
    let per_group = shape.heads / shape.groups;
    let tasks: Vec<(usize, usize)> =
        (0..sequences.len()).flat_map(|s| (0..shape.groups).map(move |g| (s, g))).collect();
    let parts: Vec<Part> =
        tasks.par_iter().map(|&(s, group)| group_backward(shape, qkv, prefix, &sequences[s], group, dout)).collect();
    dqkv.fill(0.0);
    dprefix.fill(0.0);
    // Added up in the order of the tasks, so that the result does not depend on which thread was first.
    for (&(s, group), part) in tasks.iter().zip(&parts) {
        let sequence = &sequences[s];
        for i in 0..sequence.len {
            let row = &mut dqkv[(sequence.start + i) * fused..(sequence.start + i + 1) * fused];
            row[group * per_group * dim..][..per_group * dim]
                .copy_from_slice(&part.queries[i * per_group * dim..][..per_group * dim]);
            let own = (sequence.prefix.len() + i) * dim;
            row[(shape.heads + group) * dim..][..dim].copy_from_slice(&part.keys[own..own + dim]);
            row[(shape.heads + shape.groups + group) * dim..][..dim].copy_from_slice(&part.values[own..own + dim]);
        }
        for (i, r) in sequence.prefix.clone().enumerate() {
            let row = &mut dprefix[r * kv..(r + 1) * kv];
            add(&mut row[group * dim..][..dim], &part.keys[i * dim..][..dim]);
            add(&mut row[(shape.groups + group) * dim..][..dim], &part.values[i * dim..][..dim]);
        }
    }
}

fn add(target: &mut [f32], values: &[f32]) {
    target.iter_mut().zip(values).for_each(|(t, v)| *t += v);
}

fn group_backward(
    shape: Shape,
    qkv: &[f32],
    prefix: &[f32],
    sequence: &Sequence<'_>,
    group: usize,
    dout: &[f32],
) -> Part {
    let (dim, fused, width) = (shape.head_dim, shape.fused(), shape.out());
    let per_group = shape.heads / shape.groups;
    let runs = runs(shape, qkv, prefix, sequence, group);
    let keys: usize = runs.iter().map(|r| r.rows).sum();
    let mut part = Part {
        queries: vec![0.0; sequence.len * per_group * dim],
        keys: vec![0.0; keys * dim],
        values: vec![0.0; keys * dim],
    };
    let most = sequence.len.min(QUERIES) * keys;
    let (mut p, mut dp) = (vec![0.0; most], vec![0.0; most]);
    for first in (0..sequence.len).step_by(QUERIES) {
        let rows = QUERIES.min(sequence.len - first);
        let (p, dp) = (&mut p[..rows * keys], &mut dp[..rows * keys]);
        for j in 0..per_group {
            let head = group * per_group + j;
            let queries = View::new(&qkv[(sequence.start + first) * fused + head * dim..], fused, 1);
            let grad = View::new(&dout[(sequence.start + first) * width + head * dim..], width, 1);
            weights(shape, queries, &runs, keys, (sequence, first), p);
            let mut column = 0;
            for run in &runs {
                gemm((rows, run.rows, dim), &mut dp[column..], keys, false, grad, run.values().t(), 1.0);
                column += run.rows;
            }
            gemm((keys, dim, rows), &mut part.values, dim, true, View::rows(p, keys).t(), grad, 1.0);
            for (p, dp) in p.chunks_exact(keys).zip(dp.chunks_exact_mut(keys)) {
                let dot: f32 = p.iter().zip(dp.iter()).map(|(p, d)| p * d).sum();
                dp.iter_mut().zip(p).for_each(|(d, p)| *d = p * (*d - dot));
            }
            let ds = View::rows(dp, keys);
            gemm((keys, dim, rows), &mut part.keys, dim, true, ds.t(), queries, shape.scale());
            let mut column = 0;
            for (n, run) in runs.iter().enumerate() {
                gemm(
                    (rows, dim, run.rows),
                    &mut part.queries[(first * per_group + j) * dim..],
                    per_group * dim,
                    n > 0,
                    View::new(&dp[column..], keys, 1),
                    run.keys(),
                    shape.scale(),
                );
                column += run.rows;
            }
        }
    }
    part
}
