//! Rotary positions on the query and key heads of a fused row.

use super::{floats, tensor, with_floats};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use glm_kernels::cpu::rope::{Heads, rotate};
use std::sync::Arc;

/// Cosines and sines of the rows of one batch.
#[derive(Debug)]
pub struct RopeTable {
    heads: Heads,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl RopeTable {
    /// Angles `position / base^(2i / rotary)` in f32, as the official code computes them after `.float()`.
    pub fn new(positions: &[u32], heads: Heads, base: f32) -> Self {
        let theta: Vec<f32> =
            (0..heads.rotary / 2).map(|i| 1.0 / base.powf((2 * i) as f32 / heads.rotary as f32)).collect();
        let angles = || positions.iter().flat_map(|p| theta.iter().map(move |t| *p as f32 * t));
        Self { heads, cos: angles().map(f32::cos).collect(), sin: angles().map(f32::sin).collect() }
    }
}

struct Rope(Arc<RopeTable>);

/// `x [T, stride]` → the same shape, with the leading heads rotated.
///
/// # Errors
/// When the table was made for another number of rows.
pub fn rope(x: &Tensor, table: &Arc<RopeTable>) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Rope(Arc::clone(table)))
}

impl Rope {
    fn turn(&self, x: &[f32], inverse: bool) -> Vec<f32> {
        let mut x = x.to_vec();
        rotate(&mut x, self.0.heads, &self.0.cos, &self.0.sin, inverse);
        x
    }
}

impl CustomOp1 for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = self.turn(floats(self.name(), storage, layout)?, false);
        Ok((CpuStorage::F32(x), layout.shape().clone()))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let dx = with_floats(grad, |dy| self.turn(dy, true))?;
        Ok(Some(tensor(dx, arg.shape().clone())?))
    }
}
