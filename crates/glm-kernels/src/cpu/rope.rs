//! Rotary positions (Su et al. 2021) in the two forms of the family.

use super::isa::widest;
use rayon::prelude::*;

/// Which values of a head are turned together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// ChatGLM2: neighbours (0, 1), (2, 3), … of the first `rotary` values; the rest passes through.
    Neighbours,
    /// ChatGLM-6B: the first `rotary` values are two sections of equal width, each turned by a position of its own; value
    /// `i` of a section goes with value `i + width / 2`.
    Sections,
}

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
    /// Which of them go together.
    pub pairing: Pairing,
}

/// Rotates rows in place. `x`: `[T, stride]`; `cos`, `sin`: `[T, rotary / 2]`, for sections those of the first section
/// before those of the second. `inverse` turns backwards, which is also the gradient.
pub fn rotate(x: &mut [f32], heads: Heads, cos: &[f32], sin: &[f32], inverse: bool) {
    let half = heads.rotary / 2;
    let tokens = x.len() / heads.stride;
    assert!(cos.len() == tokens * half && sin.len() == tokens * half, "rope: table does not fit");
    assert!(heads.rotated * heads.head_dim <= heads.stride && heads.rotary <= heads.head_dim, "rope: heads do not fit");
    let sign = if inverse { -1.0 } else { 1.0 };
    x.par_chunks_mut(heads.stride).zip(cos.par_chunks(half)).zip(sin.par_chunks(half)).for_each(|((row, cos), sin)| {
        widest(
            #[inline(always)]
            || rotate_row(row, heads, cos, sin, sign),
        );
    });
}

#[inline(always)]
fn rotate_row(row: &mut [f32], heads: Heads, cos: &[f32], sin: &[f32], sign: f32) {
    let half = heads.rotary / 2;
    for head in row[..heads.rotated * heads.head_dim].chunks_exact_mut(heads.head_dim) {
        let head = &mut head[..heads.rotary];
        match heads.pairing {
            Pairing::Neighbours => {
                for ((pair, c), s) in head.as_chunks_mut::<2>().0.iter_mut().zip(cos).zip(sin) {
                    *pair = turn(*pair, *c, s * sign).into();
                }
            }
            Pairing::Sections => {
                let tables = cos.chunks_exact(half / 2).zip(sin.chunks_exact(half / 2));
                for (section, (cos, sin)) in head.chunks_exact_mut(half).zip(tables) {
                    let (low, high) = section.split_at_mut(half / 2);
                    for (((a, b), c), s) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                        (*a, *b) = turn([*a, *b], *c, s * sign);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn turn([a, b]: [f32; 2], cos: f32, sin: f32) -> (f32, f32) {
    (a * cos - b * sin, b * cos + a * sin)
}

/// From rows that hold `[q | k | v] × head_dim` head after head to rows `[q heads | k heads | v heads]`: `x`, `y`:
/// `[T, 3 * heads * head_dim]`. `inverse` goes back, which is also the gradient.
pub fn regroup(x: &[f32], heads: usize, head_dim: usize, y: &mut [f32], inverse: bool) {
    let stride = 3 * heads * head_dim;
    assert!(x.len() == y.len() && x.len().is_multiple_of(stride), "regroup: shapes");
    y.par_chunks_mut(stride).zip(x.par_chunks(stride)).for_each(|(y, x)| {
        for head in 0..heads {
            for part in 0..3 {
                let (by_head, by_part) = ((3 * head + part) * head_dim, (part * heads + head) * head_dim);
                let (from, to) = if inverse { (by_part, by_head) } else { (by_head, by_part) };
                y[to..to + head_dim].copy_from_slice(&x[from..from + head_dim]);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * 0.731).sin()).collect()
    }

    /// The formula of each form, written out element by element in `f64`.
    #[test]
    fn every_pair_turns_by_its_own_angle() {
        let (tokens, stride, head_dim, rotated) = (2, 26, 8, 2);
        for (pairing, rotary, pairs) in [
            (Pairing::Neighbours, 4, vec![(0, 1), (2, 3)]),
            (Pairing::Sections, 8, vec![(0, 2), (1, 3), (4, 6), (5, 7)]),
        ] {
            let heads = Heads { stride, rotated, head_dim, rotary, pairing };
            let angles: Vec<f32> = (0..tokens * pairs.len()).map(|i| 0.3 + i as f32).collect();
            let (cos, sin): (Vec<f32>, Vec<f32>) = angles.iter().map(|a| (a.cos(), a.sin())).unzip();
            let before = wave(tokens * stride);
            let mut after = before.clone();
            rotate(&mut after, heads, &cos, &sin, false);
            let mut expected: Vec<f64> = before.iter().map(|v| f64::from(*v)).collect();
            for t in 0..tokens {
                for head in 0..rotated {
                    for (i, (a, b)) in pairs.iter().enumerate() {
                        let at = t * stride + head * head_dim;
                        let angle = f64::from(angles[t * pairs.len() + i]);
                        let (x, y) = (expected[at + a], expected[at + b]);
                        expected[at + a] = x * angle.cos() - y * angle.sin();
                        expected[at + b] = x * angle.sin() + y * angle.cos();
                    }
                }
            }
            for (a, b) in after.iter().zip(&expected) {
                assert!((f64::from(*a) - b).abs() < 1e-6, "{pairing:?}: {a} {b}");
            }
            rotate(&mut after, heads, &cos, &sin, true);
            after.iter().zip(&before).for_each(|(a, b)| assert!((a - b).abs() < 1e-6));
        }
    }

    #[test]
    fn heads_are_regrouped_and_back() {
        let (heads, dim) = (3, 2);
        let x: Vec<f32> = (0..2 * 3 * heads * dim).map(|i| i as f32).collect();
        let mut y = vec![0.0; x.len()];
        regroup(&x, heads, dim, &mut y, false);
        // Queries of the three heads, then keys, then values, in the first row.
        assert_eq!(y[..6], [0.0, 1.0, 6.0, 7.0, 12.0, 13.0]);
        assert_eq!(y[6..8], [2.0, 3.0]);
        assert_eq!(y[16..18], [16.0, 17.0]);
        let mut back = vec![0.0; x.len()];
        regroup(&y, heads, dim, &mut back, true);
        assert_eq!(back, x);
    }
}
