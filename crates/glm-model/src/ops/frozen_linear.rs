//! `y = x Wᵀ` with a frozen `W`; the backward gives `dx = dy W` and nothing else.

use super::{floats, tensor, with_floats};
use crate::quant::FrozenWeight;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::sync::Arc;

struct FrozenLinear(Arc<dyn FrozenWeight>);

/// `x [T, in]` → `[T, out]`.
///
/// # Errors
/// When the width of `x` is not that of the weight.
pub fn frozen_linear(x: &Tensor, weight: &Arc<dyn FrozenWeight>) -> Result<Tensor> {
    x.contiguous()?.apply_op1(FrozenLinear(Arc::clone(weight)))
}

impl CustomOp1 for FrozenLinear {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (out, inner) = self.0.shape();
        let (tokens, width) = layout.shape().dims2()?;
        if width != inner {
            candle_core::bail!("frozen-linear: input has {width} columns, the weight [{out}, {inner}] needs {inner}");
        }
        let mut y = vec![0.0; tokens * out];
        self.0.matmul(floats(self.name(), storage, layout)?, &mut y);
        Ok((CpuStorage::F32(y), Shape::from((tokens, out))))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut dx = vec![0.0; arg.elem_count()];
        with_floats(grad, |dy| self.0.input_gradient(dy, &mut dx))?;
        Ok(Some(tensor(dx, arg.shape().clone())?))
    }
}
