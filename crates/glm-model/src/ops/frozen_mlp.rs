//! The MLP of a block with its norm and its sum in one operation, where nothing trains: `onto(x) + W₂ f(W₁ norm(x))`.
//!
//! Its inner rows are the widest of the network. Between operations their gradient would be a tensor of its own that is
//! added to zeros first; here the rows are held before the activation only, and the backward pass turns them into their
//! gradient in place.

use super::added_linear::add;
use super::frozen_linear::{gradient, product};
use super::{FrozenNorm, Onto, floats, with_floats};
use crate::quant::Frozen;
use crate::variant::Activation;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use glm_kernels::cpu::{gelu, swiglu};
use std::sync::Mutex;

/// The parts of an MLP.
#[derive(Debug, Clone)]
pub struct FrozenMlp {
    /// In front of the first layer.
    pub norm: FrozenNorm,
    /// Weight and bias of both layers.
    pub layers: [(Frozen, Option<Tensor>); 2],
    /// Between the layers.
    pub activation: Activation,
    /// What the result is added to.
    pub onto: Onto,
}

struct Op {
    mlp: FrozenMlp,
    /// Whether a backward pass may follow.
    tracked: bool,
    /// Rows before the activation, until the backward pass takes them.
    inner: Mutex<Option<Vec<f32>>>,
}

/// `x [T, hidden]` → the same shape, equal bit for bit to the operations one by one. Only `x` gets a gradient.
///
/// # Errors
/// When widths do not fit.
pub fn frozen_mlp(x: &Tensor, mlp: FrozenMlp) -> Result<Tensor> {
    let [(wide, hidden), (out, narrow)] = [0, 1].map(|i| mlp.layers[i].0.weight.shape());
    if x.dims2()?.1 != hidden || out != hidden || wide != mlp.activation.width_before(narrow) {
        bail!("mlp: {:?} does not fit [{wide}, {hidden}] and [{out}, {narrow}]", x.shape());
    }
    mlp.norm.check(hidden)?;
    mlp.onto.check(hidden)?;
    let tracked = x.track_op();
    x.contiguous()?.apply_op1(Op { mlp, tracked, inner: Mutex::new(None) })
}

impl FrozenMlp {
    fn narrow(&self) -> usize {
        self.layers[1].0.weight.shape().1
    }

    fn inner(&self, x: &[f32]) -> Result<Vec<f32>> {
        let (weight, bias) = &self.layers[0];
        product("mlp", weight, bias.as_ref(), &self.norm.forward(x)?, weight.weight.shape().1)
    }

    fn activated(&self, inner: &[f32]) -> Vec<f32> {
        let mut y = vec![0.0; inner.len() / self.activation.width_before(self.narrow()) * self.narrow()];
        match self.activation {
            Activation::SwiGlu => swiglu::forward(inner, self.narrow(), &mut y),
            Activation::GeluTanh => gelu::forward(inner, &mut y),
        }
        y
    }
}

impl CustomOp1 for Op {
    fn name(&self) -> &'static str {
        "frozen-mlp"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = floats(self.name(), storage, layout)?;
        let inner = self.mlp.inner(x)?;
        let activated = self.mlp.activated(&inner);
        if self.tracked {
            *self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(inner);
        }
        let (weight, bias) = &self.mlp.layers[1];
        let mut y = product(self.name(), weight, bias.as_ref(), &activated, self.mlp.narrow())?;
        self.mlp.onto.add(&mut y, x)?;
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let kept = self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        let mut inner = match kept {
            Some(inner) => inner,
            // A second backward pass over the same tape.
            None => with_floats(x, |x| self.mlp.inner(x))??,
        };
        let [(first, _), (second, _)] = &self.mlp.layers;
        let dy = with_floats(grad, |dy| gradient(second, dy))?;
        match self.mlp.activation {
            Activation::SwiGlu => swiglu::input_gradient_in_place(&mut inner, self.mlp.narrow(), &dy),
            Activation::GeluTanh => gelu::input_gradient_in_place(&mut inner, &dy),
        }
        drop(dy);
        let normed = gradient(first, &inner);
        drop(inner);
        let through = self.mlp.norm.input_gradient(x, &normed)?;
        let mut sum = with_floats(&self.mlp.onto.input_gradient(x, grad)?, <[f32]>::to_vec)?;
        with_floats(&through, |through| add(&mut sum, 1.0, through))?;
        Ok(Some(super::tensor(sum, x.shape().clone())?))
    }
}
