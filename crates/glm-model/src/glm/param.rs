//! Floats that may train.

use crate::ops;
use candle_core::{Result, Tensor};

/// A tensor as it is held, which is as it trains, and as the forward pass sees it.
#[derive(Debug, Clone)]
pub struct Param {
    held: Tensor,
    in_bf16: bool,
}

impl Param {
    /// A tensor that is used as it is held.
    pub fn new(held: Tensor) -> Self {
        Self { held, in_bf16: false }
    }

    /// A tensor that is used rounded to bfloat16: a master copy.
    pub fn master(held: Tensor) -> Self {
        Self { held, in_bf16: true }
    }

    /// As it is held, in f32.
    pub fn held(&self) -> &Tensor {
        &self.held
    }

    /// As the forward pass sees it.
    ///
    /// # Errors
    /// Never for tensors that were loaded.
    pub fn seen(&self) -> Result<Tensor> {
        self.see(&self.held)
    }

    /// A part of it as the forward pass sees it, so that no more is rounded than is needed.
    ///
    /// # Errors
    /// As [`Param::seen`].
    pub fn see(&self, part: &Tensor) -> Result<Tensor> {
        if self.in_bf16 { ops::rounded_to_bf16(part) } else { Ok(part.clone()) }
    }
}
