//! The norms of the network.

use super::param::Param;
use crate::ops::{self, FrozenNorm};
use candle_core::{Result, Tensor};

/// A norm over the width of the residual stream.
#[derive(Debug, Clone)]
pub(super) enum Norm {
    /// Root mean square.
    Rms { weight: Param, eps: f32 },
    /// Mean and variance.
    Layer { weight: Param, bias: Param, eps: f32 },
}

impl Norm {
    /// `x [T, hidden]` → the same shape.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Rms { weight, eps } => ops::rms_norm(x, &weight.seen()?, *eps),
            Self::Layer { weight, bias, eps } => ops::layer_norm(x, &weight.seen()?, &bias.seen()?, *eps),
        }
    }

    /// Its twin without gradients; `None` when it trains.
    pub(super) fn frozen(&self) -> Result<Option<FrozenNorm>> {
        let norm = match self {
            Self::Rms { weight, eps } => FrozenNorm::Rms { weight: weight.seen()?, eps: *eps },
            Self::Layer { weight, bias, eps } => {
                FrozenNorm::Layer { weight: weight.seen()?, bias: bias.seen()?, eps: *eps }
            }
        };
        let trains = match &norm {
            FrozenNorm::Rms { weight, .. } => weight.track_op(),
            FrozenNorm::Layer { weight, bias, .. } => weight.track_op() || bias.track_op(),
        };
        Ok((!trains).then_some(norm))
    }

    /// Number of weights.
    pub(super) fn parameter_count(&self) -> usize {
        match self {
            Self::Rms { weight, .. } => weight.held().elem_count(),
            Self::Layer { weight, bias, .. } => weight.held().elem_count() + bias.held().elem_count(),
        }
    }
}
