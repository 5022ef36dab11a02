//! The MLP of a block in one operation, with frozen weights: `W₂ f(W₁ x + b₁) + b₂`. The backward gives the gradient of `x`.
//!
//! Its inner rows are the widest of the network. On a tape of three operations they would be held before and after the
//! activation, and each of their gradients would be added to zeros first; here only the rows before the activation are
//! held, and the backward pass turns them into their gradient in place.

use super::frozen_linear::FrozenLayer;
use super::{floats, tensor, with_floats};
use crate::variant::Activation;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use glm_kernels::cpu::{gelu, swiglu};
use std::sync::Mutex;

struct FrozenMlp {
    layers: [FrozenLayer; 2],
    activation: Activation,
    /// Whether a backward pass may follow.
    tracked: bool,
    /// Rows before the activation, until the backward pass takes them.
    inner: Mutex<Option<Vec<f32>>>,
}

/// `x [T, hidden]` → `[T, hidden]`.
///
/// # Errors
/// When widths do not fit.
pub fn frozen_mlp(x: &Tensor, layers: [FrozenLayer; 2], activation: Activation) -> Result<Tensor> {
    let [(wide, hidden), (_, narrow)] = [0, 1].map(|i| layers[i].weight.weight.shape());
    if x.dim(1)? != hidden || wide != activation.width_before(narrow) {
        bail!("mlp: {:?} does not fit [{wide}, {hidden}] and then {narrow} columns", x.shape());
    }
    let op = FrozenMlp { layers, activation, tracked: x.track_op(), inner: Mutex::new(None) };
    x.contiguous()?.apply_op1(op)
}

impl FrozenMlp {
    fn activated(&self, inner: &[f32]) -> Vec<f32> {
        let narrow = self.layers[1].weight.weight.shape().1;
        let mut y = vec![0.0; inner.len() / self.layers[0].weight.weight.shape().0 * narrow];
        match self.activation {
            Activation::SwiGlu => swiglu::forward(inner, narrow, &mut y),
            Activation::GeluTanh => gelu::forward(inner, &mut y),
        }
        y
    }
}

impl CustomOp1 for FrozenMlp {
    fn name(&self) -> &'static str {
        "frozen-mlp"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let inner = self.layers[0].forward(floats(self.name(), storage, layout)?)?;
        let activated = self.activated(&inner);
        if self.tracked {
            *self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(inner);
        }
        let y = self.layers[1].forward(&activated)?;
        Ok((CpuStorage::F32(y), Shape::from((layout.dims()[0], self.layers[1].weight.weight.shape().0))))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let kept = self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        let mut inner = match kept {
            Some(inner) => inner,
            // A second backward pass over the same tape.
            None => with_floats(arg, |x| self.layers[0].forward(x))??,
        };
        let dy = with_floats(grad, |dy| self.layers[1].input_gradient(dy))?;
        match self.activation {
            Activation::SwiGlu => {
                swiglu::input_gradient_in_place(&mut inner, self.layers[1].weight.weight.shape().1, &dy);
            }
            Activation::GeluTanh => gelu::input_gradient_in_place(&mut inner, &dy),
        }
        drop(dy);
        Ok(Some(tensor(self.layers[0].input_gradient(&inner), arg.shape().clone())?))
    }
}
