//! The reference: one query at a time, sums in `f64`.

use super::{Sequence, Shape};

/// Twin of [`super::forward`].
pub fn forward(shape: Shape, qkv: &[f32], prefix: &[f32], sequences: &[Sequence<'_>], out: &mut [f32]) {
    let (dim, fused, kv) = (shape.head_dim, shape.fused(), shape.key_value());
    for sequence in sequences {
        for i in 0..sequence.len {
            let visible = (0..sequence.len).filter(|j| *j <= i || *j < sequence.context).count();
            for head in 0..shape.heads {
                let group = head / (shape.heads / shape.groups);
                let past = prefix[sequence.prefix.start * kv..sequence.prefix.end * kv]
                    .chunks_exact(kv)
                    .chain(sequence.cache.chunks_exact(kv));
                let own = qkv[sequence.start * fused..(sequence.start + visible) * fused]
                    .chunks_exact(fused)
                    .map(|row| &row[shape.heads * dim..]);
                let rows: Vec<&[f32]> = past.chain(own).collect();
                let query = &qkv[(sequence.start + i) * fused + head * dim..][..dim];
                let scores: Vec<f64> =
                    rows.iter().map(|row| dot(query, &row[group * dim..][..dim]) / (dim as f64).sqrt()).collect();
                let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let total: f64 = scores.iter().map(|s| (s - max).exp()).sum();
                for d in 0..dim {
                    let value: f64 = rows
                        .iter()
                        .zip(&scores)
                        .map(|(row, s)| (s - max).exp() / total * f64::from(row[(shape.groups + group) * dim + d]))
                        .sum();
                    out[((sequence.start + i) * shape.heads + head) * dim + d] = value as f32;
                }
            }
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}
