//! What answers: one base, and the slots of the adapters over it.

use glm_data::Tokenizer;
use glm_infer::SpecialIds;
use glm_model::adapter::AdapterSlots;
use glm_model::{KvCache, Network};

/// A base with its vocabulary and the slots of adapters.
#[derive(Debug)]
pub struct Model {
    /// The base.
    pub network: Network,
    /// Its vocabulary.
    pub tokenizer: Tokenizer,
    /// Adapters in use, by slot.
    pub slots: AdapterSlots,
}

impl Model {
    /// A base without adapters.
    pub fn new(network: Network, tokenizer: Tokenizer) -> Self {
        Self { network, tokenizer, slots: AdapterSlots::default() }
    }

    /// Ids that end or pad.
    pub fn special(&self) -> SpecialIds {
        SpecialIds::of(&self.tokenizer)
    }

    /// Bytes of the keys and values of a row of so many tokens.
    pub fn cache_bytes(&self, tokens: usize) -> usize {
        let config = self.network.config();
        KvCache::bytes_for(config.num_layers, config.key_value_width(), tokens)
    }
}
