//! `y = x Wᵀ + b` with a frozen `W` and `b`; the backward gives `dx = dy W` and nothing else.

use super::{floats, tensor, with_floats};
use crate::quant::FrozenWeight;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::sync::Arc;

struct FrozenLinear {
    weight: Arc<dyn FrozenWeight>,
    bias: Option<Tensor>,
}

/// `x [T, in]`, `bias [out]` → `[T, out]`. The bias gets no gradient.
///
/// # Errors
/// When the width of `x` is not that of the weight.
pub fn frozen_linear(x: &Tensor, weight: &Arc<dyn FrozenWeight>, bias: Option<&Tensor>) -> Result<Tensor> {
    x.contiguous()?.apply_op1(FrozenLinear { weight: Arc::clone(weight), bias: bias.cloned() })
}

impl CustomOp1 for FrozenLinear {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (out, inner) = self.weight.shape();
        let (tokens, width) = layout.shape().dims2()?;
        if width != inner {
            candle_core::bail!("frozen-linear: input has {width} columns, the weight [{out}, {inner}] needs {inner}");
        }
        let mut y = vec![0.0; tokens * out];
        self.weight.matmul(floats(self.name(), storage, layout)?, &mut y);
        if let Some(bias) = &self.bias {
            with_floats(bias, |bias| {
                y.par_chunks_mut(out).for_each(|row| row.iter_mut().zip(bias).for_each(|(y, b)| *y += b));
            })?;
        }
        Ok((CpuStorage::F32(y), Shape::from((tokens, out))))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut dx = vec![0.0; arg.elem_count()];
        with_floats(grad, |dy| self.weight.input_gradient(dy, &mut dx))?;
        Ok(Some(tensor(dx, arg.shape().clone())?))
    }
}
