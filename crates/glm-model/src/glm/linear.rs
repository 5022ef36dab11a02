//! A linear layer whose weight is frozen in some form or trains.

use super::inputs::Delta;
use super::param::Param;
use crate::ops;
use crate::quant::Frozen;
use candle_core::{Result, Tensor};

/// The matrix of a linear layer or of an embedding, `[out, in]`.
#[derive(Debug, Clone)]
pub enum Weight {
    /// Never changes; only passes gradients through.
    Frozen(Frozen),
    /// A variable on the tape.
    Trainable(Param),
}

impl Weight {
    /// `(out, in)`.
    ///
    /// # Errors
    /// Never for weights that were loaded.
    pub fn shape(&self) -> Result<(usize, usize)> {
        match self {
            Self::Frozen(frozen) => Ok(frozen.weight.shape()),
            Self::Trainable(weight) => weight.held().dims2(),
        }
    }

    /// `x [T, in]` → `x Wᵀ`, `[T, out]`.
    ///
    /// # Errors
    /// When widths differ.
    pub fn matmul(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Frozen(weight) => ops::frozen_linear(x, weight, None),
            Self::Trainable(weight) => x.matmul(&weight.seen()?.t()?),
        }
    }

    /// Rows `ids`, `[ids, in]`. Rows of a frozen weight carry no gradient.
    ///
    /// # Errors
    /// When an id is outside the rows.
    pub fn rows(&self, ids: &[u32]) -> Result<Tensor> {
        let (rows, width) = self.shape()?;
        if let Some(id) = ids.iter().find(|id| **id as usize >= rows) {
            candle_core::bail!(
                "token id {id} is outside the vocabulary of {rows}; tokenizer and model do not belong together"
            );
        }
        match self {
            Self::Frozen(Frozen { weight, .. }) => {
                let mut values = vec![0.0; ids.len() * width];
                ids.iter().zip(values.chunks_exact_mut(width)).for_each(|(id, out)| weight.row(*id as usize, out));
                ops::tensor(values, (ids.len(), width))
            }
            Self::Trainable(weight) => {
                let held = weight.held();
                weight.see(&held.index_select(&Tensor::new(ids, held.device())?, 0)?)
            }
        }
    }

    /// Says that it is not used again soon; see [`crate::quant::FrozenWeight::release`].
    pub fn release(&self) {
        if let Self::Frozen(frozen) = self {
            frozen.weight.release();
        }
    }

    /// Bytes that lie in a file.
    pub fn mapped_bytes(&self) -> usize {
        match self {
            Self::Frozen(frozen) if frozen.weight.is_mapped() => frozen.weight.bytes(),
            _ => 0,
        }
    }

    /// Bytes that it occupies.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Frozen(frozen) => frozen.weight.bytes(),
            Self::Trainable(weight) => weight.held().elem_count() * 4,
        }
    }
}

/// `y = x Wᵀ + b`.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Weight,
    /// `[out]`.
    pub bias: Option<Param>,
}

impl Linear {
    /// `x [T, in]` → `[T, out]`, with `deltas` added.
    ///
    /// # Errors
    /// When widths differ.
    pub fn forward(&self, x: &Tensor, deltas: &[Delta]) -> Result<Tensor> {
        let bias = self.bias.as_ref().map(Param::seen).transpose()?;
        let y = match (&self.weight, &bias) {
            (Weight::Frozen(weight), bias) => ops::frozen_linear(x, weight, bias.as_ref())?,
            (weight, Some(bias)) => weight.matmul(x)?.broadcast_add(bias)?,
            (weight, None) => weight.matmul(x)?,
        };
        deltas.iter().try_fold(y, |y, delta| delta.add_to(y, x))
    }

    /// Weight and bias when neither trains and nothing is added to their product.
    pub(super) fn frozen(&self, deltas: &[Delta]) -> Result<Option<(&Frozen, Option<Tensor>)>> {
        let Weight::Frozen(weight) = &self.weight else { return Ok(None) };
        let bias = self.bias.as_ref().map(Param::seen).transpose()?;
        let trains = bias.as_ref().is_some_and(Tensor::track_op);
        Ok((deltas.is_empty() && !trains).then_some((weight, bias)))
    }
}
