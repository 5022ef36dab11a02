//! Forward pass, one task a sequence and group.

use super::{QUERIES, Sequence, Shape, runs, weights};
use crate::cpu::gemm::{View, gemm};
use rayon::prelude::*;

/// `qkv [T, fused]`, `prefix [R, key_value]` → `out [T, heads * head_dim]`.
pub fn forward(shape: Shape, qkv: &[f32], prefix: &[f32], sequences: &[Sequence<'_>], out: &mut [f32]) {
    let (dim, width) = (shape.head_dim, shape.out());
    let per_group = shape.heads / shape.groups;
    let tasks: Vec<(usize, usize)> =
        (0..sequences.len()).flat_map(|s| (0..shape.groups).map(move |g| (s, g))).collect();
    let parts: Vec<Vec<f32>> =
        tasks.par_iter().map(|&(s, group)| group_forward(shape, qkv, prefix, &sequences[s], group)).collect();
    for (&(s, group), part) in tasks.iter().zip(&parts) {
        let first = sequences[s].start;
        for (i, row) in part.chunks_exact(per_group * dim).enumerate() {
            let at = (first + i) * width + group * per_group * dim;
            out[at..at + row.len()].copy_from_slice(row);
        }
    }
}

fn group_forward(shape: Shape, qkv: &[f32], prefix: &[f32], sequence: &Sequence<'_>, group: usize) -> Vec<f32> {
    let (dim, fused) = (shape.head_dim, shape.fused());
    let per_group = shape.heads / shape.groups;
    let runs = runs(shape, qkv, prefix, sequence, group);
    let keys: usize = runs.iter().map(|r| r.rows).sum();
    let mut part = vec![0.0; sequence.len * per_group * dim];
    let mut scores = vec![0.0; sequence.len.min(QUERIES) * keys];
    for first in (0..sequence.len).step_by(QUERIES) {
        let rows = QUERIES.min(sequence.len - first);
        let scores = &mut scores[..rows * keys];
        for j in 0..per_group {
            let at = (sequence.start + first) * fused + (group * per_group + j) * dim;
            weights(shape, View::new(&qkv[at..], fused, 1), &runs, keys, (sequence, first), scores);
            let mut column = 0;
            for (n, run) in runs.iter().enumerate() {
                gemm(
                    (rows, dim, run.rows),
                    &mut part[first * per_group * dim + j * dim..],
                    per_group * dim,
                    n > 0,
                    View::new(&scores[column..], keys, 1),
                    run.values(),
                    1.0,
                );
                column += run.rows;
            }
        }
    }
    part
}
