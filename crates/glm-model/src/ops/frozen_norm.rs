//! A norm that does not train, as a part of other operations.

use super::{tensor, with_floats};
use candle_core::{Result, Tensor};
use glm_kernels::cpu::{layer_norm, rms_norm};

/// A norm over rows of `H` values; its tensors, `[H]`, get no gradient.
#[derive(Debug, Clone)]
pub enum FrozenNorm {
    /// Root mean square.
    Rms {
        /// Factors.
        weight: Tensor,
        /// Inside the square root.
        eps: f32,
    },
    /// Mean and variance.
    Layer {
        /// Factors.
        weight: Tensor,
        /// Summands.
        bias: Tensor,
        /// Inside the square root.
        eps: f32,
    },
}

impl FrozenNorm {
    /// Refuses rows of another width.
    pub(super) fn check(&self, width: usize) -> Result<()> {
        let fits = match self {
            Self::Rms { weight, .. } => weight.dims1()? == width,
            Self::Layer { weight, bias, .. } => weight.dims1()? == width && bias.dims1()? == width,
        };
        if !fits {
            candle_core::bail!("norm: rows of {width} values do not fit {self:?}");
        }
        Ok(())
    }

    /// `norm(x)`, of the size of `x`.
    pub(super) fn forward(&self, x: &[f32]) -> Result<Vec<f32>> {
        let mut y = vec![0.0; x.len()];
        match self {
            Self::Rms { weight, eps } => with_floats(weight, |w| rms_norm::forward(x, w, *eps, &mut y))?,
            Self::Layer { weight, bias, eps } => {
                with_floats(weight, |w| with_floats(bias, |b| layer_norm::forward(x, w, b, *eps, &mut y)))??;
            }
        }
        Ok(y)
    }

    /// The gradient of the input `x`, as a tensor of its shape.
    pub(super) fn input_gradient(&self, x: &Tensor, dy: &[f32]) -> Result<Tensor> {
        let mut dx = vec![0.0; dy.len()];
        with_floats(x, |x| match self {
            Self::Rms { weight, eps } => with_floats(weight, |w| rms_norm::input_gradient(x, w, *eps, dy, &mut dx)),
            Self::Layer { weight, eps, .. } => {
                with_floats(weight, |w| layer_norm::input_gradient(x, w, *eps, dy, &mut dx))
            }
        })??;
        tensor(dx, x.shape().clone())
    }
}
