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

impl CustomOp1 for FrozenLinear {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (out, inner) = self.weight.weight.shape();
        let (tokens, width) = layout.shape().dims2()?;
        if width != inner {
            candle_core::bail!("frozen-linear: input has {width} columns, the weight [{out}, {inner}] needs {inner}");
        }
        let mut y = vec![0.0; tokens * out];
        let x = floats(self.name(), storage, layout)?;
        let Frozen { weight, compute } = &self.weight;
        let product = |bias: Option<&[f32]>, y: &mut [f32]| frozen::matmul(&weight.matrix(), *compute, x, bias, y);
        match &self.bias {
            Some(bias) => with_floats(bias, |bias| product(Some(bias), &mut y))?,
            None => product(None, &mut y),
        }
        Ok((CpuStorage::F32(y), Shape::from((tokens, out))))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut dx = vec![0.0; arg.elem_count()];
        let Frozen { weight, compute } = &self.weight;
        with_floats(grad, |dy| frozen::input_gradient(&weight.matrix(), *compute, dy, &mut dx))?;
        Ok(Some(tensor(dx, arg.shape().clone())?))
    }
}
