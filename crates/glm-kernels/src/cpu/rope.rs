//! Rotary positions (Su et al. 2021) of the ChatGLM2 kind: the first `rotary` values of every head, in neighbouring
//! pairs; the rest passes through.

use rayon::prelude::*;

/// Heads inside a row of the fused projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Values of a whole row.
    pub stride: usize,
    /// Number of leading heads that are rotated (queries, then keys).
    pub rotated: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// Values of a head that are rotated.
    pub rotary: usize,
}

/// Rotates rows in place. `x`: `[T, stride]`; `cos`, `sin`: `[T, rotary / 2]`. `inverse` turns backwards, which is
/// also the gradient.
pub fn rotate(x: &mut [f32], heads: Heads, cos: &[f32], sin: &[f32], inverse: bool) {
    let half = heads.rotary / 2;
    let tokens = x.len() / heads.stride;
    assert!(cos.len() == tokens * half && sin.len() == tokens * half, "rope: table does not fit");
    assert!(heads.rotated * heads.head_dim <= heads.stride && heads.rotary <= heads.head_dim, "rope: heads do not fit");
    let sign = if inverse { -1.0 } else { 1.0 };
    x.par_chunks_mut(heads.stride).zip(cos.par_chunks(half)).zip(sin.par_chunks(half)).for_each(|((row, cos), sin)| {
        for head in row[..heads.rotated * heads.head_dim].chunks_exact_mut(heads.head_dim) {
            for ((pair, c), s) in head[..heads.rotary].chunks_exact_mut(2).zip(cos).zip(sin) {
                let (a, b, s) = (pair[0], pair[1], s * sign);
                pair[0] = a * c - b * s;
                pair[1] = b * c + a * s;
            }
        }
    });
}
