//! Keys and values of the tokens of one sequence, computed earlier.

/// Tokens by which the memory of a cache grows at a time.
pub const CACHE_BLOCK: usize = 64;

/// One growing cache a block; rows are `[keys | values]` of `key_value_width` values, `f32`.
#[derive(Debug, Clone, Default)]
pub struct KvCache {
    pub(super) layers: Vec<Vec<f32>>,
    width: usize,
}

impl KvCache {
    /// An empty cache for `layers` blocks with rows of `width` values.
    pub fn new(layers: usize, width: usize) -> Self {
        Self { layers: vec![Vec::new(); layers], width }
    }

    /// Tokens held.
    pub fn len(&self) -> usize {
        self.layers.first().map_or(0, |rows| rows.len() / self.width.max(1))
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows of one block, `[len, width]`.
    pub fn layer(&self, layer: usize) -> &[f32] {
        &self.layers[layer]
    }

    /// Bytes that it occupies.
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(|rows| rows.capacity() * size_of::<f32>()).sum()
    }

    /// Bytes of a cache that holds `tokens` after [`KvCache::reserve`].
    pub fn bytes_for(layers: usize, width: usize, tokens: usize) -> usize {
        tokens
            .checked_next_multiple_of(CACHE_BLOCK)
            .unwrap_or(usize::MAX)
            .saturating_mul(layers)
            .saturating_mul(width)
            .saturating_mul(size_of::<f32>())
    }

    /// Makes room for `more` tokens, in whole blocks and not, as a vector would, by doubling.
    pub fn reserve(&mut self, more: usize) {
        let values = (self.len() + more).next_multiple_of(CACHE_BLOCK) * self.width;
        for rows in &mut self.layers {
            rows.reserve_exact(values.saturating_sub(rows.len()));
        }
    }

    /// Forgets all but the first `len` tokens, and gives the memory of whole blocks back.
    pub fn truncate(&mut self, len: usize) {
        let values = len.min(self.len()) * self.width;
        let kept = len.min(self.len()).next_multiple_of(CACHE_BLOCK) * self.width;
        for rows in &mut self.layers {
            rows.truncate(values);
            rows.shrink_to(kept);
        }
    }

    /// A copy of the first `len` tokens.
    pub fn first(&self, len: usize) -> Self {
        let values = len.min(self.len()) * self.width;
        Self { layers: self.layers.iter().map(|rows| rows[..values].to_vec()).collect(), width: self.width }
    }

    /// Forgets all and gives the memory back.
    pub fn clear(&mut self) {
        self.layers.iter_mut().for_each(|rows| *rows = Vec::new());
    }
}
