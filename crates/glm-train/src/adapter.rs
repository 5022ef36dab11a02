//! What trains: the tensors, and how they enter the network.

use candle_core::Var;
use glm_model::adapter::{LoraAdapter, PrefixEncoder};
use glm_model::{GlmConfig, Network};

/// A trainable part of the model. The loop asks it for its tensors and knows nothing else of it.
#[derive(Debug, Clone)]
pub enum Adapter {
    /// P-Tuning v2: a prefix in front of a frozen base.
    Prefix {
        /// The trained tensors.
        encoder: PrefixEncoder,
        /// Dropout on the prefix, of its own for every row.
        dropout: f32,
    },
    /// LoRA: low-rank additions to linear layers of a frozen base.
    Lora(LoraAdapter),
    /// Every weight of the base, which must have been loaded trainable.
    Full,
}

impl Adapter {
    /// The trainable tensors by name.
    pub fn parameters<'a>(&'a self, network: &'a Network) -> &'a [(String, Var)] {
        match self {
            Self::Prefix { encoder, .. } => encoder.parameters(),
            Self::Lora(adapter) => adapter.parameters(),
            Self::Full => network.parameters(),
        }
    }

    /// Number of trainable values.
    pub fn parameter_count(&self, network: &Network) -> usize {
        self.parameters(network).iter().map(|(_, var)| var.elem_count()).sum()
    }

    /// The slot that rows name so that they use it; `None` where the base itself trains.
    pub fn slot(&self) -> Option<usize> {
        match self {
            Self::Prefix { .. } | Self::Lora(_) => Some(0),
            Self::Full => None,
        }
    }

    /// Bytes of activations that it adds to those of one block when the block is kept for the backward pass of a batch of
    /// `tokens`: the product with `A` before and after its factor, the product with `B`, the sum, and the input after
    /// dropout.
    pub fn block_activations(&self, base: &GlmConfig, tokens: usize) -> u64 {
        let Self::Lora(adapter) = self else { return 0 };
        let config = adapter.config();
        let site = |site: &glm_model::adapter::Site| {
            let [out, inner] = site.shape(base);
            2 * out + 2 * config.rank + if config.dropout > 0.0 { inner } else { 0 }
        };
        (config.targets.iter().map(site).sum::<usize>() * tokens * 4) as u64
    }
}
