//! Rotary positions on the query and key heads of a fused row, and the layout that attention reads.

use super::{floats, tensor, with_floats};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use glm_kernels::cpu::rope::{Heads, Pairing, regroup, rotate};
use half::f16;
use std::sync::Arc;

/// Base of the frequencies where a configuration names none.
pub(crate) const ROPE_BASE: f32 = 10000.0;

/// Cosines and sines of the rows of one batch.
#[derive(Debug)]
pub struct RopeTable {
    heads: Heads,
    /// Whether rows come as `[q | k | v]` head after head; the number of heads then.
    by_head: Option<usize>,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl RopeTable {
    /// For heads whose first `rotary` values turn in neighbouring pairs: angles `position / base^(2i / rotary)` in f32, as
    /// the official code computes them after `.float()`.
    ///
    /// # Panics
    /// When `heads` are paired otherwise.
    pub fn neighbours(positions: &[u32], heads: Heads, base: f32) -> Self {
        assert!(heads.pairing == Pairing::Neighbours, "rope: the table is for neighbouring pairs");
        let theta = frequencies(heads.rotary, base);
        Self::from_angles(heads, positions.iter().flat_map(|p| theta.iter().map(move |t| *p as f32 * t)))
    }

    /// For heads of two sections: the first turns by `positions`, the second by `blocks`. The frequencies are those of one
    /// section, rounded to half precision as the official code keeps them even in f32.
    ///
    /// # Panics
    /// When `heads` are paired otherwise, or there are not as many positions of each kind.
    pub fn sections(positions: &[u32], blocks: &[u32], heads: Heads) -> Self {
        assert!(heads.pairing == Pairing::Sections, "rope: the table is for sections");
        assert!(positions.len() == blocks.len(), "rope: one block position a position");
        let mut theta = frequencies(heads.rotary / 2, ROPE_BASE);
        theta.iter_mut().for_each(|t| *t = f16::from_f32(*t).to_f32());
        let both = positions.iter().zip(blocks).flat_map(|(p, b)| [*p, *b]);
        Self::from_angles(heads, both.flat_map(|p| theta.iter().map(move |t| p as f32 * t)))
    }

    fn from_angles(heads: Heads, angles: impl Iterator<Item = f32>) -> Self {
        let (cos, sin) = angles.map(|angle| (angle.cos(), angle.sin())).unzip();
        Self { heads, by_head: None, cos, sin }
    }

    /// Refuses rows of another number or width.
    pub(super) fn check(&self, tokens: usize, width: usize) -> Result<()> {
        let heads = self.heads;
        let whole = self.by_head.is_none_or(|n| n * 3 * heads.head_dim == width);
        if width != heads.stride || tokens * heads.rotary / 2 != self.cos.len() || !whole {
            candle_core::bail!("rope: [{tokens}, {width}] does not fit a table of {heads:?}");
        }
        Ok(())
    }

    /// Rows rotated, in the layout that attention reads.
    pub(super) fn turned(&self, mut x: Vec<f32>) -> Vec<f32> {
        if let Some(heads) = self.by_head {
            x = regrouped(&x, heads, self.heads.head_dim, false);
        }
        rotate(&mut x, self.heads, &self.cos, &self.sin, false);
        x
    }

    /// The gradient of what was turned, from that of the result.
    pub(super) fn turned_back(&self, mut dy: Vec<f32>) -> Vec<f32> {
        rotate(&mut dy, self.heads, &self.cos, &self.sin, true);
        match self.by_head {
            None => dy,
            Some(heads) => regrouped(&dy, heads, self.heads.head_dim, true),
        }
    }

    /// The same, for rows that hold query, key and value of the first of `heads` heads, then of the second, …: the result
    /// holds all queries, then all keys, then all values.
    pub fn from_rows_by_head(self, heads: usize) -> Self {
        Self { by_head: Some(heads), ..self }
    }
}

/// `1 / base^(2i / width)` for `i` below `width / 2`.
pub(crate) fn frequencies(width: usize, base: f32) -> Vec<f32> {
    (0..width / 2).map(|i| 1.0 / base.powf((2 * i) as f32 / width as f32)).collect()
}

struct Rope(Arc<RopeTable>);

/// `x [T, stride]` → the same shape, query and key heads rotated and in front.
///
/// # Errors
/// When the table was made for another number or width of rows.
pub fn rope(x: &Tensor, table: &Arc<RopeTable>) -> Result<Tensor> {
    let (tokens, width) = x.dims2()?;
    table.check(tokens, width)?;
    x.contiguous()?.apply_op1(Rope(Arc::clone(table)))
}

impl CustomOp1 for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = self.0.turned(floats(self.name(), storage, layout)?.to_vec());
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let dx = self.0.turned_back(with_floats(grad, <[f32]>::to_vec)?);
        Ok(Some(tensor(dx, arg.shape().clone())?))
    }
}

fn regrouped(x: &[f32], heads: usize, head_dim: usize, inverse: bool) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    regroup(x, heads, head_dim, &mut y, inverse);
    y
}
