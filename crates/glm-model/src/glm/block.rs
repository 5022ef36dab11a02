//! One transformer block: attention over the norm of its input, then the MLP over the norm of that sum. What each is added
//! to, which norm, activation and positions: the knobs say.

use super::inputs::BlockInputs;
use super::linear::Linear;
use super::norm::Norm;
use super::pass::Pass;
use crate::ops;
use crate::variant::{Activation, Residual};
use candle_core::{Result, Tensor};
use glm_kernels::cpu::attention::Shape;

/// A block of the network.
#[derive(Debug, Clone)]
pub struct Block {
    pub(super) input_norm: Norm,
    pub(super) query_key_value: Linear,
    pub(super) attention_out: Linear,
    pub(super) post_norm: Norm,
    pub(super) mlp_in: Linear,
    pub(super) mlp_out: Linear,
    pub(super) shape: Shape,
    pub(super) activation: Activation,
    pub(super) residual: Residual,
}

impl Block {
    /// `x [T, hidden]` → the same shape, or `[N, hidden]` when `inputs` names the `N` rows that are read: all see all rows,
    /// but nothing behind the attention is computed for the others. `inputs` are what adapters add to this block; `cache` one growing
    /// cache a segment, for decoding (no gradient then).
    ///
    /// # Errors
    /// When shapes do not fit, or rows are read and an addition names rows itself.
    pub fn forward(
        &self,
        x: &Tensor,
        inputs: BlockInputs<'_>,
        pass: &Pass,
        cache: Option<&mut [&mut Vec<f32>]>,
    ) -> Result<Tensor> {
        let h = self.input_norm.forward(x)?;
        let fused = ops::rope(&self.query_key_value.forward(&h, inputs.at(0))?, pass.rope())?;
        let attended = match cache {
            None => ops::attention(&fused, inputs.past, self.shape, pass.spans())?,
            Some(caches) => ops::attention_cached(&fused, inputs.past, self.shape, pass.spans(), caches)?,
        };
        let (x, h, attended) = match inputs.read {
            None => (x.clone(), h, attended),
            Some(rows) => {
                let named = inputs.deltas.into_iter().flatten().flatten().any(|delta| delta.rows.is_some());
                if named {
                    candle_core::bail!("a block cannot leave out rows that an adapter names");
                }
                (x.index_select(rows, 0)?, h.index_select(rows, 0)?, attended.index_select(rows, 0)?)
            }
        };
        let x = self.sum(&x, &h, &self.attention_out.forward(&attended, inputs.at(1))?)?;
        let h = self.post_norm.forward(&x)?;
        self.sum(&x, &h, &self.mlp(&h, inputs)?)
    }

    fn mlp(&self, h: &Tensor, inputs: BlockInputs<'_>) -> Result<Tensor> {
        if inputs.at(2).is_empty()
            && inputs.at(3).is_empty()
            && let (Some(first), Some(second)) = (self.mlp_in.frozen()?, self.mlp_out.frozen()?)
        {
            return ops::frozen_mlp(h, [first, second], self.activation);
        }
        let inner = self.mlp_in.forward(h, inputs.at(2))?;
        let inner = match self.activation {
            Activation::SwiGlu => ops::swiglu(&inner)?,
            Activation::GeluTanh => ops::gelu(&inner)?,
        };
        self.mlp_out.forward(&inner, inputs.at(3))
    }

    /// `update` added to the input of the norm, `x`, or to its output, `normed`.
    fn sum(&self, x: &Tensor, normed: &Tensor, update: &Tensor) -> Result<Tensor> {
        match self.residual {
            Residual::Input => ops::add(x, update),
            Residual::Normed { alpha } => ops::add_scaled(normed, alpha, update),
        }
    }

    /// The block's linear layers.
    pub fn linears(&self) -> [&Linear; 4] {
        [&self.query_key_value, &self.attention_out, &self.mlp_in, &self.mlp_out]
    }
}
