//! The norms of the network.

use crate::ops;
use candle_core::{Result, Tensor};

/// A norm over the width of the residual stream.
#[derive(Debug, Clone)]
pub(super) enum Norm {
    /// Root mean square.
    Rms { weight: Tensor, eps: f32 },
    /// Mean and variance.
    Layer { weight: Tensor, bias: Tensor, eps: f32 },
}

impl Norm {
    /// `x [T, hidden]` → the same shape.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Rms { weight, eps } => ops::rms_norm(x, weight, *eps),
            Self::Layer { weight, bias, eps } => ops::layer_norm(x, weight, bias, *eps),
        }
    }

    /// Number of weights.
    pub(super) fn parameter_count(&self) -> usize {
        match self {
            Self::Rms { weight, .. } => weight.elem_count(),
            Self::Layer { weight, bias, .. } => weight.elem_count() + bias.elem_count(),
        }
    }
}
