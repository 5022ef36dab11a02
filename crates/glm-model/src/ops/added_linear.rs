//! A frozen linear layer added to the residual stream: the tape holds the two inputs and the sum, and not the layer's own
//! output.

use super::frozen_linear::{gradient, product};
use super::{FrozenNorm, floats, tensor, with_floats};
use crate::quant::Frozen;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Values that one thread takes at a time.
const CHUNK: usize = 1 << 14;

/// What the layer's output is added to.
#[derive(Debug, Clone)]
pub enum Onto {
    /// `x` itself.
    Input,
    /// `factor · norm(x)`.
    Normed {
        /// The norm.
        norm: FrozenNorm,
        /// The factor.
        factor: f32,
    },
}

struct AddedLinear {
    weight: Frozen,
    bias: Option<Tensor>,
    onto: Onto,
}

/// `a [T, width]`, `x [T, out]` → `onto(x) + a Wᵀ + bias`, `[T, out]`, equal bit for bit to the operations one by
/// one. Only `a` and `x` get gradients.
///
/// # Errors
/// When shapes do not fit.
pub fn added_linear(a: &Tensor, weight: &Frozen, bias: Option<&Tensor>, x: &Tensor, onto: Onto) -> Result<Tensor> {
    if x.dims2()? != (a.dim(0)?, weight.weight.shape().0) {
        bail!("added-linear: {:?} onto {:?}, the weight is {:?}", a.shape(), x.shape(), weight.weight.shape());
    }
    onto.check(x.dims2()?.1)?;
    let op = AddedLinear { weight: weight.clone(), bias: bias.cloned(), onto };
    a.contiguous()?.apply_op2(&x.contiguous()?, op)
}

impl CustomOp2 for AddedLinear {
    fn name(&self) -> &'static str {
        "added-linear"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (a, x) = (floats(self.name(), s1, l1)?, floats(self.name(), s2, l2)?);
        let width = l1.shape().dims2()?.1;
        let (weight, bias) = (&self.weight, self.bias.as_ref());
        let mut y = product(self.name(), weight, bias, a, width)?;
        self.onto.add(&mut y, x)?;
        Ok((CpuStorage::F32(y), l2.shape().clone()))
    }

    fn bwd(&self, a: &Tensor, x: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_a = || tensor(with_floats(grad, |dy| gradient(&self.weight, dy))?, a.shape().clone());
        let of_x = || self.onto.input_gradient(x, grad);
        Ok((a.track_op().then(of_a).transpose()?, x.track_op().then(of_x).transpose()?))
    }
}

impl Onto {
    /// Refuses a norm of another width.
    pub(super) fn check(&self, width: usize) -> Result<()> {
        match self {
            Self::Input => Ok(()),
            Self::Normed { norm, .. } => norm.check(width),
        }
    }

    /// `y += onto(x)`.
    pub(super) fn add(&self, y: &mut [f32], x: &[f32]) -> Result<()> {
        match self {
            Self::Input => add(y, 1.0, x),
            Self::Normed { norm, factor } => add(y, *factor, &norm.forward(x)?),
        }
        Ok(())
    }

    /// The gradient that passes to `x` directly.
    pub(super) fn input_gradient(&self, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        match self {
            Self::Input => Ok(grad.clone()),
            Self::Normed { norm, factor } => {
                let scaled: Vec<f32> = with_floats(grad, |dy| dy.par_iter().map(|v| v * factor).collect())?;
                norm.input_gradient(x, &scaled)
            }
        }
    }
}

/// `y += factor · x`, where `y` is the second summand.
pub(super) fn add(y: &mut [f32], factor: f32, x: &[f32]) {
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
    });
}
