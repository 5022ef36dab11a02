//! Keys and values of the tokens of one sequence, computed earlier.

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
}
