//! P-Tuning v2 (Liu et al. 2022): trained keys and values in front of every block's own. They are not rotated, do not
//! shift positions, and every token sees all of them.

use crate::config::GlmConfig;
use crate::{Result, ops};
use candle_core::{Tensor, Var};
use glm_data::{Rng, Variant};
use serde::{Deserialize, Serialize};

/// Sizes of a prefix encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefixConfig {
    /// Number of trained positions. It is not the length of the output.
    pub pre_seq_len: usize,
    /// Whether a two-layer network makes the keys and values from a trained embedding.
    pub prefix_projection: bool,
    /// Blocks of the base.
    pub num_layers: usize,
    /// Keys and values of one position in one block.
    pub key_value_width: usize,
    /// Width of the base, and of the inner layer of the projection.
    pub hidden_size: usize,
    /// Width of the embedding that a projection starts from: ChatGLM-6B's is the width of the base, that of the later ones
    /// the width of its result. Without a projection it does not matter.
    pub projected_from: usize,
}

impl PrefixConfig {
    /// The prefix of a base.
    pub fn new(base: &GlmConfig, pre_seq_len: usize, prefix_projection: bool) -> Self {
        Self {
            pre_seq_len,
            prefix_projection,
            num_layers: base.num_layers,
            key_value_width: base.key_value_width(),
            hidden_size: base.hidden_size,
            projected_from: match base.variant {
                Variant::ChatGlm => base.hidden_size,
                Variant::ChatGlm2 | Variant::ChatGlm3 => base.num_layers * base.key_value_width(),
            },
        }
    }

    /// Keys and values of one position in all blocks.
    pub fn width(&self) -> usize {
        self.num_layers * self.key_value_width
    }

    /// Names and shapes of the trained tensors, as the official checkpoints have them.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let name = |part: &str| format!("transformer.prefix_encoder.{part}");
        let (width, hidden) = (self.width(), self.hidden_size);
        let embedded = if self.prefix_projection { self.projected_from } else { width };
        let mut tensors = vec![(name("embedding.weight"), vec![self.pre_seq_len, embedded])];
        if self.prefix_projection {
            tensors.push((name("trans.0.weight"), vec![hidden, embedded]));
            tensors.push((name("trans.0.bias"), vec![hidden]));
            tensors.push((name("trans.2.weight"), vec![width, hidden]));
            tensors.push((name("trans.2.bias"), vec![width]));
        }
        tensors
    }
}

/// The trained tensors of a prefix, in f32.
#[derive(Debug, Clone)]
pub struct PrefixEncoder {
    config: PrefixConfig,
    parameters: Vec<(String, Var)>,
}

impl PrefixEncoder {
    /// A fresh prefix, initialised as torch does: embedding N(0, 1), linear layers uniform in ±1/√in.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn new(config: PrefixConfig, rng: &mut Rng) -> Result<Self> {
        let bound = |inner: usize| 1.0 / (inner as f32).sqrt();
        Self::from_values(config, |name, n| {
            let inner = if name.contains("trans.0") { config.projected_from } else { config.hidden_size };
            if name.ends_with("embedding.weight") {
                (0..n).map(|_| rng.normal()).collect()
            } else {
                (0..n).map(|_| (2.0 * rng.next_f32() - 1.0) * bound(inner)).collect()
            }
        })
    }

    /// A prefix from values: `values(name, count)` gives each tensor.
    ///
    /// # Errors
    /// When a tensor has the wrong number of values.
    pub fn from_values(config: PrefixConfig, mut values: impl FnMut(&str, usize) -> Vec<f32>) -> Result<Self> {
        let mut parameters = Vec::new();
        for (name, shape) in config.tensors() {
            let values = values(&name, shape.iter().product());
            parameters.push((name, Var::from_tensor(&ops::tensor(values, shape)?)?));
        }
        Ok(Self { config, parameters })
    }

    /// The sizes.
    pub fn config(&self) -> &PrefixConfig {
        &self.config
    }

    /// The trained tensors by their official names.
    pub fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    fn parameter(&self, index: usize) -> &Tensor {
        self.parameters[index].1.as_tensor()
    }

    /// Keys and values of all blocks, `[pre_seq_len, width]`, on the tape.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn key_values(&self) -> Result<Tensor> {
        let embedding = self.parameter(0);
        if !self.config.prefix_projection {
            return Ok(embedding.clone());
        }
        let hidden = embedding.matmul(&self.parameter(1).t()?)?.broadcast_add(self.parameter(2))?.tanh()?;
        Ok(hidden.matmul(&self.parameter(3).t()?)?.broadcast_add(self.parameter(4))?)
    }

    /// The part of block `layer`, `[R, key_value_width]`, of rows over all blocks.
    ///
    /// # Errors
    /// When `layer` is outside the base.
    pub fn layer(&self, rows: &Tensor, layer: usize) -> Result<Tensor> {
        let width = self.config.key_value_width;
        Ok(rows.narrow(1, layer * width, width)?.contiguous()?)
    }
}
