//! What adapters add to a forward pass: rows of keys and values that segments see first, and low-rank additions to linear
//! layers. The network does not know what made them.

use crate::ops::{self, Dropout};
use candle_core::{Result, Tensor};
use std::ops::Range;

/// Number of linear layers of a block, in the order of [`super::Block::linears`].
pub const SITES: usize = 4;

/// Additions to a forward pass over a batch.
#[derive(Debug, Clone, Default)]
pub struct AdapterInputs {
    /// Keys and values, `[R, key_value]`, one tensor a block; empty when no segment has past rows.
    pub past: Vec<Tensor>,
    /// Which of the past rows each segment sees.
    pub ranges: Vec<Range<usize>>,
    /// Additions to the linear layers, one entry a block; empty when there are none.
    pub deltas: Vec<BlockDeltas>,
}

/// Additions to the linear layers of one block.
pub type BlockDeltas = [Vec<Delta>; SITES];

/// `y += scale · B A x` for some of the tokens (Hu et al. 2021, equation 3).
#[derive(Debug, Clone)]
pub struct Delta {
    /// `A`, `[r, in]`.
    pub a: Tensor,
    /// `B`, `[out, r]`.
    pub b: Tensor,
    /// Factor on the product.
    pub scale: f64,
    /// The packed positions it applies to, `u32`; `None`: all.
    pub rows: Option<Tensor>,
    /// Dropout on its `x`, which the layer itself sees whole.
    pub dropout: Option<Dropout>,
}

impl Delta {
    /// Adds itself to `y [T, out]`, the output of a linear layer for `x [T, in]`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn add_to(&self, y: Tensor, x: &Tensor) -> Result<Tensor> {
        let mut x = match &self.rows {
            None => x.clone(),
            Some(rows) => x.index_select(rows, 0)?,
        };
        if let Some(dropout) = &self.dropout {
            x = ops::dropout(&x, dropout)?;
        }
        // The factor is applied where the values are fewest.
        let low = (x.matmul(&self.a.t()?)? * self.scale)?.matmul(&self.b.t()?)?;
        match &self.rows {
            None => ops::add(&y, &low),
            Some(rows) => y.index_add(rows, &low, 0),
        }
    }
}

/// The additions that one block sees.
#[derive(Debug, Clone, Copy, Default)]
pub struct BlockInputs<'a> {
    /// Its past rows, `[R, key_value]`.
    pub past: Option<&'a Tensor>,
    /// Its additions to linear layers.
    pub deltas: Option<&'a BlockDeltas>,
    /// The packed positions of which something reads the output, `u32`; the block gives the rows of these alone, in this
    /// order. `None`: all. Additions that name positions themselves do not go with it.
    pub read: Option<&'a Tensor>,
}

impl<'a> BlockInputs<'a> {
    /// Additions to linear layer `site`.
    pub fn at(self, site: usize) -> &'a [Delta] {
        self.deltas.map_or(&[], |deltas| &deltas[site])
    }
}

impl AdapterInputs {
    /// The part of block `layer`.
    pub fn block(&self, layer: usize) -> BlockInputs<'_> {
        BlockInputs { past: self.past.get(layer), deltas: self.deltas.get(layer), read: None }
    }
}
