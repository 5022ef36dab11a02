//! `y = x Wᵀ + b` with a frozen `W` and `b`; the backward gives `dx = dy W` and nothing else.

use super::{floats, tensor, with_floats};
use crate::quant::Frozen;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use glm_kernels::cpu::frozen;

/// A frozen linear layer.
#[derive(Debug, Clone)]
pub struct FrozenLayer {
    /// `[out, in]`.
    pub weight: Frozen,
    /// `[out]`.
    pub bias: Option<Tensor>,
}

impl FrozenLayer {
    pub(super) fn forward(&self, x: &[f32]) -> Result<Vec<f32>> {
        let Frozen { weight, compute } = &self.weight;
        let (out, inner) = weight.shape();
        let mut y = vec![0.0; x.len() / inner * out];
        let product = |bias: Option<&[f32]>, y: &mut [f32]| frozen::matmul(&weight.matrix(), *compute, x, bias, y);
        match &self.bias {
            Some(bias) => with_floats(bias, |bias| product(Some(bias), &mut y))?,
            None => product(None, &mut y),
        }
        Ok(y)
    }

    pub(super) fn input_gradient(&self, dy: &[f32]) -> Vec<f32> {
        let Frozen { weight, compute } = &self.weight;
        let (out, inner) = weight.shape();
        let mut dx = vec![0.0; dy.len() / out * inner];
        frozen::input_gradient(&weight.matrix(), *compute, dy, &mut dx);
        dx
    }
}

struct FrozenLinear(FrozenLayer);

/// `x [T, in]`, `bias [out]` → `[T, out]`. The bias gets no gradient.
///
/// # Errors
/// When the width of `x` is not that of the weight.
pub fn frozen_linear(x: &Tensor, weight: &Frozen, bias: Option<&Tensor>) -> Result<Tensor> {
    x.contiguous()?.apply_op1(FrozenLinear(FrozenLayer { weight: weight.clone(), bias: bias.cloned() }))
}

impl CustomOp1 for FrozenLinear {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (out, inner) = self.0.weight.weight.shape();
        let (tokens, width) = layout.shape().dims2()?;
        if width != inner {
            candle_core::bail!("frozen-linear: input has {width} columns, the weight [{out}, {inner}] needs {inner}");
        }
        let y = self.0.forward(floats(self.name(), storage, layout)?)?;
        Ok((CpuStorage::F32(y), Shape::from((tokens, out))))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let dx = with_floats(grad, |dy| self.0.input_gradient(dy))?;
        Ok(Some(tensor(dx, arg.shape().clone())?))
    }
}
