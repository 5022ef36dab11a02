//! A frozen linear layer of a frozen norm's output, rotated if it is the one that needs to be. As one operation the tape
//! holds its input and its result; as three it would hold what is between them too, which no gradient reads.

use super::frozen_linear::{gradient, product};
use super::{FrozenNorm, RopeTable, floats, with_floats};
use crate::quant::Frozen;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::sync::Arc;

struct NormedLinear {
    norm: FrozenNorm,
    weight: Frozen,
    bias: Option<Tensor>,
    rope: Option<Arc<RopeTable>>,
}

/// `x [T, in]` → `rope(norm(x) Wᵀ + bias)`, `[T, out]`, equal bit for bit to the operations one by one. Only `x` gets a
/// gradient.
///
/// # Errors
/// When shapes do not fit.
pub fn normed_linear(
    x: &Tensor,
    norm: FrozenNorm,
    weight: &Frozen,
    bias: Option<&Tensor>,
    rope: Option<&Arc<RopeTable>>,
) -> Result<Tensor> {
    norm.check(x.dims2()?.1)?;
    if let Some(table) = rope {
        table.check(x.dim(0)?, weight.weight.shape().0)?;
    }
    let (weight, bias, rope) = (weight.clone(), bias.cloned(), rope.cloned());
    x.contiguous()?.apply_op1(NormedLinear { norm, weight, bias, rope })
}

impl CustomOp1 for NormedLinear {
    fn name(&self) -> &'static str {
        "normed-linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let normed = self.norm.forward(floats(self.name(), storage, layout)?)?;
        let (tokens, width) = layout.shape().dims2()?;
        let mut y = product(self.name(), &self.weight, self.bias.as_ref(), &normed, width)?;
        if let Some(table) = &self.rope {
            y = table.turned(y);
        }
        let shape = (tokens, self.weight.weight.shape().0);
        Ok((CpuStorage::F32(y), Shape::from(shape)))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let back = |dy: &[f32]| gradient(&self.weight, dy);
        let dx = match &self.rope {
            None => with_floats(grad, back)?,
            Some(table) => back(&table.turned_back(with_floats(grad, <[f32]>::to_vec)?)),
        };
        Ok(Some(self.norm.input_gradient(arg, &dx)?))
    }
}
