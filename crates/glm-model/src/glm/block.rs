//! One transformer block: `x + attention(norm(x))`, then `x + mlp(norm(x))`.

use super::inputs::BlockInputs;
use super::linear::Linear;
use super::pass::Pass;
use crate::ops;
use candle_core::{Result, Tensor};
use glm_kernels::cpu::attention::Shape;

/// A block of the network.
#[derive(Debug, Clone)]
pub struct Block {
    pub(super) input_norm: Tensor,
    pub(super) query_key_value: Linear,
    pub(super) attention_out: Linear,
    pub(super) post_norm: Tensor,
    pub(super) mlp_in: Linear,
    pub(super) mlp_out: Linear,
    pub(super) shape: Shape,
    pub(super) eps: f32,
}

impl Block {
    /// `x [T, hidden]` → the same shape. `inputs` are what adapters add to this block; `cache` one growing cache a segment, for decoding (no gradient then).
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(
        &self,
        x: &Tensor,
        inputs: BlockInputs<'_>,
        pass: &Pass,
        cache: Option<&mut [&mut Vec<f32>]>,
    ) -> Result<Tensor> {
        let h = ops::rms_norm(x, &self.input_norm, self.eps)?;
        let fused = ops::rope(&self.query_key_value.forward(&h, inputs.at(0))?, pass.rope())?;
        let attended = match cache {
            None => ops::attention(&fused, inputs.past, self.shape, pass.spans())?,
            Some(caches) => ops::attention_cached(&fused, inputs.past, self.shape, pass.spans(), caches)?,
        };
        let x = ops::add(x, &self.attention_out.forward(&attended, inputs.at(1))?)?;
        let h = ops::rms_norm(&x, &self.post_norm, self.eps)?;
        let h = ops::swiglu(&self.mlp_in.forward(&h, inputs.at(2))?)?;
        ops::add(&x, &self.mlp_out.forward(&h, inputs.at(3))?)
    }

    /// The block's linear layers.
    pub fn linears(&self) -> [&Linear; 4] {
        [&self.query_key_value, &self.attention_out, &self.mlp_in, &self.mlp_out]
    }
}
