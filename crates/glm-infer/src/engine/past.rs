//! What a finished row leaves behind: keys and values with which another one may begin.

use glm_model::KvCache;

/// Keys and values of the first tokens of a row.
#[derive(Debug, Clone)]
pub struct Past {
    slot: Option<usize>,
    ids: Vec<u32>,
    cache: KvCache,
}

impl Past {
    /// `ids`: the row's tokens, of which `cache` holds the first ones. No token's keys and values may depend on what is behind it.
    pub(super) fn new(slot: Option<usize>, ids: &[u32], cache: KvCache) -> Self {
        Self { slot, ids: ids[..cache.len()].to_vec(), cache }
    }

    /// Adapter slot with which they were computed.
    pub fn slot(&self) -> Option<usize> {
        self.slot
    }

    /// Tokens that it holds.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The tokens.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// A copy of its first `len` tokens.
    pub fn first(&self, len: usize) -> Self {
        let cache = self.cache.first(len);
        Self { ids: self.ids[..cache.len()].to_vec(), cache, ..*self }
    }

    /// Bytes of its keys and values.
    pub fn bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// How many tokens a row with this prompt and slot would not have to read: those with which both begin, but not its last
    /// one, whose logits are needed.
    pub fn useful(&self, slot: Option<usize>, prompt: &[u32]) -> usize {
        if slot != self.slot {
            return 0;
        }
        let shared = self.ids.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        shared.min(prompt.len().saturating_sub(1))
    }

    /// Keys and values of its first `len` tokens.
    pub(super) fn into_cache(mut self, len: usize) -> KvCache {
        self.cache.truncate(len);
        self.cache
    }
}
