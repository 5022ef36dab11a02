//! What trains: the tensors, and how they enter the network.

use candle_core::Var;
use glm_model::Network;
use glm_model::adapter::PrefixEncoder;

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
    /// Every weight of the base, which must have been loaded trainable.
    Full,
}

impl Adapter {
    /// The trainable tensors by name.
    pub fn parameters<'a>(&'a self, network: &'a Network) -> &'a [(String, Var)] {
        match self {
            Self::Prefix { encoder, .. } => encoder.parameters(),
            Self::Full => network.parameters(),
        }
    }

    /// Number of trainable values.
    pub fn parameter_count(&self, network: &Network) -> usize {
        self.parameters(network).iter().map(|(_, var)| var.elem_count()).sum()
    }
}
