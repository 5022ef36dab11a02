//! The frozen twin of a network that trained, for answering: its weights are rounded once, not again for every token.

use super::linear::{Linear, Weight};
use super::norm::Norm;
use super::param::Param;
use super::{Block, Network, Trains};
use crate::ops::with_floats;
use crate::quant::{Dense, DenseType};
use candle_core::Result;
use half::bf16;
use rayon::prelude::*;
use std::sync::Arc;

/// Values that one thread rounds before it asks for more.
const PART: usize = 1 << 16;

impl Network {
    /// Where weights train in f32 and are used in bfloat16: the network as it answers now, frozen and held in bfloat16, as
    /// it is when its checkpoint is loaded. What trains later does not change it. `None` for all others, which answer from
    /// what they hold.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn settled(&self) -> Result<Option<Self>> {
        if self.trains == Trains::Nothing || self.trained_type() != DenseType::Bf16 {
            return Ok(None);
        }
        let embedding = self.embedding.settled()?;
        let output = if self.config.knobs.tied_embeddings { embedding.clone() } else { self.output.settled()? };
        Ok(Some(Self {
            config: self.config.clone(),
            embedding,
            blocks: self.blocks.iter().map(Block::settled).collect::<Result<_>>()?,
            final_norm: self.final_norm.settled()?,
            output,
            parameters: Vec::new(),
            fingerprint: self.fingerprint.clone(),
            scheme: self.scheme,
            trains: Trains::Nothing,
        }))
    }
}

impl Block {
    fn settled(&self) -> Result<Self> {
        Ok(Self {
            input_norm: self.input_norm.settled()?,
            query_key_value: self.query_key_value.settled()?,
            attention_out: self.attention_out.settled()?,
            post_norm: self.post_norm.settled()?,
            mlp_in: self.mlp_in.settled()?,
            mlp_out: self.mlp_out.settled()?,
            ..self.clone()
        })
    }
}

impl Linear {
    fn settled(&self) -> Result<Self> {
        Ok(Self { weight: self.weight.settled()?, bias: self.bias.as_ref().map(Param::settled).transpose()? })
    }
}

impl Weight {
    fn settled(&self) -> Result<Self> {
        let Self::Trainable(param) = self else { return Ok(self.clone()) };
        let (_, inner) = param.held().dims2()?;
        let values = with_floats(param.held(), |values| {
            values.par_iter().with_min_len(PART).map(|v| bf16::from_f32(*v)).collect()
        })?;
        Ok(Self::Frozen(Arc::new(Dense::<bf16>::new(inner, values))))
    }
}

impl Norm {
    fn settled(&self) -> Result<Self> {
        Ok(match self {
            Self::Rms { weight, eps } => Self::Rms { weight: weight.settled()?, eps: *eps },
            Self::Layer { weight, bias, eps } => {
                Self::Layer { weight: weight.settled()?, bias: bias.settled()?, eps: *eps }
            }
        })
    }
}

impl Param {
    fn settled(&self) -> Result<Self> {
        Ok(Self::new(self.seen()?.detach().copy()?))
    }
}
