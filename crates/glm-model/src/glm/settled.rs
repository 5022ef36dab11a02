//! The frozen twin of a network that trained, for answering: its weights are rounded once, not again for every token.

use super::linear::{Linear, Weight};
use super::norm::Norm;
use super::param::Param;
use super::{Block, Network, Trains};
use crate::ops::with_floats;
use crate::quant::{Compute, Dense, DenseType, Frozen};
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
        let embedding = self.embedding.settled(self.compute)?;
        let output = if self.tables().count() == 1 { embedding.clone() } else { self.output.settled(self.compute)? };
        Ok(Some(Self {
            config: self.config.clone(),
            embedding,
            blocks: self.blocks.iter().map(|block| block.settled(self.compute)).collect::<Result<_>>()?,
            final_norm: self.final_norm.settled()?,
            output,
            parameters: Vec::new(),
            fingerprint: self.fingerprint.clone(),
            scheme: self.scheme,
            trains: Trains::Nothing,
            compute: self.compute,
            output_layer: self.output_layer,
        }))
    }
}

impl Block {
    fn settled(&self, compute: Compute) -> Result<Self> {
        Ok(Self {
            input_norm: self.input_norm.settled()?,
            query_key_value: self.query_key_value.settled(compute)?,
            attention_out: self.attention_out.settled(compute)?,
            post_norm: self.post_norm.settled()?,
            mlp_in: self.mlp_in.settled(compute)?,
            mlp_out: self.mlp_out.settled(compute)?,
            ..self.clone()
        })
    }
}

impl Linear {
    fn settled(&self, compute: Compute) -> Result<Self> {
        Ok(Self { weight: self.weight.settled(compute)?, bias: self.bias.as_ref().map(Param::settled).transpose()? })
    }
}

impl Weight {
    fn settled(&self, compute: Compute) -> Result<Self> {
        let Self::Trainable(param) = self else { return Ok(self.clone()) };
        let (_, inner) = param.held().dims2()?;
        let bytes = with_floats(param.held(), |values| {
            let mut bytes = vec![0; values.len() * 2];
            let (pairs, _) = bytes.as_chunks_mut::<2>();
            let pairs = pairs.par_iter_mut().with_min_len(PART).zip(values);
            pairs.for_each(|(b, v)| *b = bf16::from_f32(*v).to_le_bytes());
            bytes
        })?;
        let weight = Arc::new(Dense::new(inner, DenseType::Bf16, bytes));
        Ok(Self::Frozen(Frozen { weight, compute }))
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
