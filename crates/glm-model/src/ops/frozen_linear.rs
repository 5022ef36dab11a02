//! `y = x Wᵀ + b` with a frozen `W` and `b`; the backward gives `dx = dy W` and nothing else.

use super::{floats, tensor, with_floats};
use crate::quant::Frozen;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use glm_kernels::cpu::frozen;

struct FrozenLinear {
    weight: Frozen,
    bias: Option<Tensor>,
}

/// `x [T, in]`, `bias [out]` → `[T, out]`. The bias gets no gradient.
///
/// # Errors
/// When the width of `x` is not that of the weight.
pub fn frozen_linear(x: &Tensor, weight: &Frozen, bias: Option<&Tensor>) -> Result<Tensor> {
    x.contiguous()?.apply_op1(FrozenLinear { weight: weight.clone(), bias: bias.cloned() })
}

/// `x Wᵀ + bias` for rows of `width` values.
pub(super) fn product(op: &str, weight: &Frozen, bias: Option<&Tensor>, x: &[f32], width: usize) -> Result<Vec<f32>> {
    let Frozen { weight, compute } = weight;
    let (out, inner) = weight.shape();
    if width != inner {
        candle_core::bail!("{op}: input has {width} columns, the weight [{out}, {inner}] needs {inner}");
    }
    let mut y = vec![0.0; x.len() / inner * out];
    let product = |bias: Option<&[f32]>, y: &mut [f32]| frozen::matmul(&weight.matrix(), *compute, x, bias, y);
    match bias {
        Some(bias) => with_floats(bias, |bias| product(Some(bias), &mut y))?,
        None => product(None, &mut y),
    }
    Ok(y)
}

/// `dy W`.
pub(super) fn gradient(weight: &Frozen, dy: &[f32]) -> Vec<f32> {
    let Frozen { weight, compute } = weight;
    let (out, inner) = weight.shape();
    let mut dx = vec![0.0; dy.len() / out * inner];
    frozen::input_gradient(&weight.matrix(), *compute, dy, &mut dx);
    dx
}

impl CustomOp1 for FrozenLinear {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (tokens, width) = layout.shape().dims2()?;
        let x = floats(self.name(), storage, layout)?;
        let y = product(self.name(), &self.weight, self.bias.as_ref(), x, width)?;
        Ok((CpuStorage::F32(y), Shape::from((tokens, self.weight.weight.shape().0))))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let dx = with_floats(grad, |dy| gradient(&self.weight, dy))?;
        Ok(Some(tensor(dx, arg.shape().clone())?))
    }
}
