//! The left matrix of a product, rounded to bfloat16 and laid out for the tile kernel.

use rayon::prelude::*;

/// Most rows of a tile: with two vectors of columns their sums take 28 of the 32 registers.
pub(super) const MOST_ROWS: usize = 14;

/// Rows `[T, depth]` as blocks of at most [`MOST_ROWS`] rows: pairs of neighbouring columns one after the other, and for each
/// the pairs of all rows of the block.
pub(super) struct Left {
    rows: usize,
    block: usize,
    pairs: usize,
    data: Vec<u32>,
}

/// Nearest bfloat16, ties to even; a NaN stays one.
pub(super) fn round(value: f32) -> u16 {
    half::bf16::from_f32(value).to_bits()
}

impl Left {
    /// Rounds `x [T, depth]`, each column times its scale.
    pub fn new(x: &[f32], depth: usize, scales: Option<&[f32]>) -> Self {
        let rows = x.len() / depth.max(1);
        // Blocks of nearly equal height.
        let blocks = rows.div_ceil(MOST_ROWS).max(1);
        let block = rows.div_ceil(blocks).max(1);
        let pairs = depth.div_ceil(2);
        let mut data = vec![0u32; rows * pairs];
        data.par_chunks_mut(block * pairs).zip(x.par_chunks(block * depth)).for_each(|(out, x)| {
            let height = x.len() / depth;
            for (r, row) in x.chunks_exact(depth).enumerate() {
                pack_row(row, scales, height, &mut out[r..]);
            }
        });
        Self { rows, block, pairs, data }
    }

    /// First row and number of rows of every block.
    pub fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let (rows, block) = (self.rows, self.block);
        (0..rows).step_by(block).map(move |first| (first, block.min(rows - first)))
    }

    /// Pairs `first..` of the block of `height` rows that begins at row `row`.
    pub fn from(&self, (row, height): (usize, usize), first: usize) -> &[u32] {
        &self.data[row * self.pairs + first * height..(row + height) * self.pairs]
    }
}

/// Writes the pairs of one row at every `height`-th place.
fn pack_row(row: &[f32], scales: Option<&[f32]>, height: usize, out: &mut [u32]) {
    let scaled = |i: usize, v: f32| scales.map_or(v, |s| v * s[i]);
    for (p, pair) in row.chunks(2).enumerate() {
        let low = round(scaled(2 * p, pair[0]));
        let high = pair.get(1).map_or(0, |v| round(scaled(2 * p + 1, *v)));
        out[p * height] = u32::from(low) | u32::from(high) << 16;
    }
}
