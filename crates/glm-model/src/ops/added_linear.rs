//! A frozen linear layer added to the residual stream, with what stands before it: the tape holds the two inputs and the
//! sum, and neither the activation's output nor the layer's own.

use super::frozen_linear::{gradient, product};
use super::{FrozenNorm, floats, tensor, with_floats};
use crate::quant::Frozen;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use glm_kernels::cpu::{gelu, swiglu};
use rayon::prelude::*;

/// Values that one thread takes at a time.
const CHUNK: usize = 1 << 14;

/// What a layer's input goes through first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// [`super::swiglu`].
    SwiGlu,
    /// [`super::gelu`].
    Gelu,
}

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
    before: Before,
    weight: Frozen,
    bias: Option<Tensor>,
    onto: Onto,
}

/// `a [T, width]`, `x [T, out]` → `onto(x) + before(a) Wᵀ + bias`, `[T, out]`, equal bit for bit to the operations one by
/// one. Only `a` and `x` get gradients.
///
/// # Errors
/// When shapes do not fit.
pub fn added_linear(
    a: &Tensor,
    before: Before,
    weight: &Frozen,
    bias: Option<&Tensor>,
    x: &Tensor,
    onto: Onto,
) -> Result<Tensor> {
    if x.dims2()? != (a.dim(0)?, weight.weight.shape().0) {
        bail!("added-linear: {:?} onto {:?}, the weight is {:?}", a.shape(), x.shape(), weight.weight.shape());
    }
    let op = AddedLinear { before, weight: weight.clone(), bias: bias.cloned(), onto };
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
        let mut y = match self.before {
            Before::Nothing => product(self.name(), weight, bias, a, width)?,
            Before::SwiGlu => {
                let mut active = vec![0.0; a.len() / 2];
                swiglu::forward(a, width / 2, &mut active);
                product(self.name(), weight, bias, &active, width / 2)?
            }
            Before::Gelu => {
                let mut active = vec![0.0; a.len()];
                gelu::forward(a, &mut active);
                product(self.name(), weight, bias, &active, width)?
            }
        };
        match &self.onto {
            Onto::Input => add(&mut y, 1.0, x),
            Onto::Normed { norm, factor } => add(&mut y, *factor, &norm.forward(x)?),
        }
        Ok((CpuStorage::F32(y), l2.shape().clone()))
    }

    fn bwd(&self, a: &Tensor, x: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_a = || {
            let active = with_floats(grad, |dy| gradient(&self.weight, dy))?;
            let mut da = vec![0.0; a.elem_count()];
            match self.before {
                Before::Nothing => da = active,
                Before::SwiGlu => {
                    let half = a.dim(1)? / 2;
                    with_floats(a, |a| swiglu::input_gradient(a, half, &active, &mut da))?;
                }
                Before::Gelu => with_floats(a, |a| gelu::input_gradient(a, &active, &mut da))?,
            }
            tensor(da, a.shape().clone())
        };
        let of_x = || match &self.onto {
            Onto::Input => Ok(grad.clone()),
            Onto::Normed { norm, factor } => {
                let scaled: Vec<f32> = with_floats(grad, |dy| dy.par_iter().map(|v| v * factor).collect())?;
                norm.input_gradient(x, &scaled)
            }
        };
        Ok((a.track_op().then(of_a).transpose()?, x.track_op().then(of_x).transpose()?))
    }
}

/// `y += factor · x`, where `y` is the second summand.
fn add(y: &mut [f32], factor: f32, x: &[f32]) {
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
    });
}
