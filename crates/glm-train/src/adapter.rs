//! What trains: the tensors, and how they enter the network.

use crate::memory;
use candle_core::Var;
use glm_model::adapter::{LoraAdapter, LoraConfig, PrefixEncoder, Site};
use glm_model::glm::layout;
use glm_model::{DenseType, GlmConfig, Network};

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
    /// The weights of the base itself that it was loaded with as variables: all, or those of its last blocks.
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

    /// Bytes of activations that it adds to those of one block when the block is kept for the backward pass of `rows` rows
    /// of `tokens` in all. A prefix: see [`prefix_activations`]. LoRA: the product with `A` before and after its factor, the product with `B`, the sum, the input after
    /// dropout, and what the layer by itself would not keep. Weights that train: see [`memory::trained_activations`]; those
    /// that are used in bf16 are kept rounded, in f32.
    pub fn block_activations(&self, network: &Network, tokens: usize, rows: usize) -> u64 {
        let base = network.config();
        match self {
            Self::Lora(adapter) => lora_activations(adapter.config(), base, tokens),
            Self::Full => {
                let count = |num_layers| layout::parameter_count(&GlmConfig { num_layers, ..base.clone() });
                let in_bf16 = network.trained_type() == DenseType::Bf16;
                memory::trained_activations(base, tokens) + if in_bf16 { 4 * (count(1) - count(0)) } else { 0 }
            }
            Self::Prefix { encoder, dropout } if *dropout > 0.0 => {
                let sizes = encoder.config();
                prefix_activations(sizes.pre_seq_len * sizes.key_value_width, rows)
            }
            Self::Prefix { .. } => 0,
        }
    }
}

/// What a prefix of `values` values a block adds when each of so many rows drops out some of its own: the rows' copies,
/// before and after. See [`Adapter::block_activations`].
pub fn prefix_activations(values: usize, rows: usize) -> u64 {
    (2 * values * rows * 4) as u64
}

/// What LoRA of these settings adds to the activations of a block; see [`Adapter::block_activations`].
pub fn lora_activations(config: &LoraConfig, base: &GlmConfig, tokens: usize) -> u64 {
    let site = |site: &Site| {
        let [out, inner] = site.shape(base);
        // The layer's input (a norm's or the activation's output) and its own product.
        let apart = match site {
            Site::QueryKeyValue | Site::Dense4hToH => inner + out,
            Site::Dense => out,
            Site::DenseHTo4h => inner,
        };
        2 * out + 2 * config.rank + apart + if config.dropout > 0.0 { inner } else { 0 }
    };
    // The rows behind the MLP's activation, which a frozen MLP does not keep.
    let targets = |site| config.targets.contains(&site);
    let activated = if targets(Site::DenseHTo4h) && !targets(Site::Dense4hToH) { base.ffn_hidden_size } else { 0 };
    ((config.targets.iter().map(site).sum::<usize>() + activated) * tokens * 4) as u64
}
