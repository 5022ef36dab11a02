//! One transformer block: attention over the norm of its input, then the MLP over the norm of that sum. What each is added
//! to, which norm, activation and positions: the knobs say.

use super::inputs::{BlockInputs, Delta};
use super::linear::Linear;
use super::norm::Norm;
use super::pass::Pass;
use crate::ops::{self, FrozenMlp, Onto, RopeTable};
use crate::variant::{Activation, Residual};
use candle_core::{Result, Tensor};
use glm_kernels::cpu::attention::Shape;
use std::sync::Arc;

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
        let fused = of_normed(&self.query_key_value, &self.input_norm, x, inputs.at(0), Some(pass.rope()))?;
        let attended = match cache {
            None => ops::attention(&fused, inputs.past, self.shape, pass.spans())?,
            Some(caches) => ops::attention_cached(&fused, inputs.past, self.shape, pass.spans(), caches)?,
        };
        let (x, attended) = match inputs.read {
            None => (x.clone(), attended),
            Some(rows) => {
                let named = inputs.deltas.into_iter().flatten().flatten().any(|delta| delta.rows.is_some());
                if named {
                    candle_core::bail!("a block cannot leave out rows that an adapter names");
                }
                (x.index_select(rows, 0)?, attended.index_select(rows, 0)?)
            }
        };
        let x = self.added(&self.attention_out, &attended, (&x, &self.input_norm), inputs.at(1))?;
        if let Some(mlp) = self.frozen_mlp(inputs)? {
            return ops::frozen_mlp(&x, mlp);
        }
        let inner = of_normed(&self.mlp_in, &self.post_norm, &x, inputs.at(2), None)?;
        let inner = match self.activation {
            Activation::SwiGlu => ops::swiglu(&inner)?,
            Activation::GeluTanh => ops::gelu(&inner)?,
        };
        self.added(&self.mlp_out, &inner, (&x, &self.post_norm), inputs.at(3))
    }

    /// The MLP with its norm and sum, where nothing trains and nothing is added.
    fn frozen_mlp(&self, inputs: BlockInputs<'_>) -> Result<Option<FrozenMlp>> {
        let layers = (self.mlp_in.frozen(inputs.at(2))?, self.mlp_out.frozen(inputs.at(3))?);
        let (Some(first), Some(second)) = layers else { return Ok(None) };
        let Some(norm) = self.post_norm.frozen()? else { return Ok(None) };
        let Some(onto) = self.onto(&self.post_norm)? else { return Ok(None) };
        let layers = [first, second].map(|(weight, bias)| (weight.clone(), bias));
        Ok(Some(FrozenMlp { norm, layers, activation: self.activation, onto }))
    }

    /// What the output of a layer behind `norm` is added to; `None` when that trains.
    fn onto(&self, norm: &Norm) -> Result<Option<Onto>> {
        Ok(match self.residual {
            Residual::Input => Some(Onto::Input),
            Residual::Normed { alpha } => norm.frozen()?.map(|norm| Onto::Normed { norm, factor: alpha }),
        })
    }

    /// The output of a layer for `a`, added to `x` or to its norm.
    fn added(&self, layer: &Linear, a: &Tensor, (x, norm): (&Tensor, &Norm), deltas: &[Delta]) -> Result<Tensor> {
        if let (Some((weight, bias)), Some(onto)) = (layer.frozen(deltas)?, self.onto(norm)?) {
            return ops::added_linear(a, weight, bias.as_ref(), x, onto);
        }
        let update = layer.forward(a, deltas)?;
        match self.residual {
            Residual::Input => ops::add(x, &update),
            Residual::Normed { alpha } => ops::add_scaled(&norm.forward(x)?, alpha, &update),
        }
    }

    /// The block's linear layers.
    pub fn linears(&self) -> [&Linear; 4] {
        [&self.query_key_value, &self.attention_out, &self.mlp_in, &self.mlp_out]
    }
}

/// The output of a layer for `norm(x)`, rotated by `rope`.
fn of_normed(
    layer: &Linear,
    norm: &Norm,
    x: &Tensor,
    deltas: &[Delta],
    rope: Option<&Arc<RopeTable>>,
) -> Result<Tensor> {
    if let (Some((weight, bias)), Some(norm)) = (layer.frozen(deltas)?, norm.frozen()?) {
        return ops::normed_linear(x, norm, weight, bias.as_ref(), rope);
    }
    let y = layer.forward(&norm.forward(x)?, deltas)?;
    rope.map_or(Ok(y.clone()), |table| ops::rope(&y, table))
}
