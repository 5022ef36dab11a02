//! Which weights of the network train.

use crate::config::GlmConfig;
use crate::quant::{DenseType, Scheme};
use std::fmt;

/// The weights that are variables. They are held in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trains {
    /// None: the base of an adapter.
    #[default]
    Nothing,
    /// All.
    All,
    /// Those of so many blocks at the end; embedding, final norm and output layer are frozen.
    LastBlocks(usize),
}

impl Trains {
    /// Whether the weights of block `layer` of `layers` train.
    pub fn block(self, layer: usize, layers: usize) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::LastBlocks(count) => layer.saturating_add(count) >= layers,
        }
    }

    /// The same in a network of `layers` blocks, when all of them would train.
    pub fn within(self, layers: usize) -> Self {
        match self {
            Self::LastBlocks(count) => Self::LastBlocks(count.min(layers)),
            other => other,
        }
    }

    /// What does not fit the network or the form of its weights, as a sentence.
    pub(super) fn check(self, config: &GlmConfig, scheme: Scheme) -> Result<(), String> {
        let layers = config.num_layers;
        match self {
            Self::LastBlocks(count) if count == 0 || count > layers => {
                Err(format!("the last {count} blocks cannot train: there are {layers}; choose 1 to {layers}"))
            }
            Self::All if !matches!(scheme, Scheme::Dense { .. }) => Err(format!(
                "weights that train cannot be held as {scheme}. Train an adapter over them (--pre_seq_len 128), or keep \
                 them as floats"
            )),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Trains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("none"),
            Self::All => f.write_str("all"),
            Self::LastBlocks(count) => write!(f, "those of the last {count} blocks"),
        }
    }
}

/// The type in which weights that train are used.
pub(super) fn trained_type(scheme: Scheme) -> DenseType {
    match scheme {
        Scheme::Dense { dtype: Some(DenseType::Bf16) } => DenseType::Bf16,
        _ => DenseType::F32,
    }
}
