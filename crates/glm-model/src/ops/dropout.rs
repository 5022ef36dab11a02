//! Dropout whose mask is drawn again from its seeds wherever it is needed, so that none is stored and a block that is
//! recomputed drops the same values.

use super::{floats, tensor, with_floats};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use glm_data::Rng;
use rayon::prelude::*;
use std::sync::Arc;

/// Where the random numbers of a row come from: the seed of its micro batch, and its number in it. So a row drops the same
/// values whatever goes through the network beside it.
pub type RowStream = (u64, u64);

/// Which values are dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct Dropout {
    /// Probability that a value becomes 0; the others grow by `1 / (1 - rate)`.
    pub rate: f32,
    /// Tells this place in the network from others.
    pub place: u64,
    /// One a row.
    pub rows: Arc<[RowStream]>,
}

/// `x [T, width]` with some values dropped. Rate 0 gives `x` itself.
///
/// # Errors
/// When `x` is not a matrix of as many rows.
pub fn dropout(x: &Tensor, dropout: &Dropout) -> Result<Tensor> {
    if dropout.rate <= 0.0 {
        return Ok(x.clone());
    }
    let (rows, _) = x.dims2()?;
    if rows != dropout.rows.len() {
        candle_core::bail!("dropout: {rows} rows, random numbers for {}", dropout.rows.len());
    }
    x.contiguous()?.apply_op1(dropout.clone())
}

impl Dropout {
    /// Every row has a stream of its own, so that the number of threads changes nothing.
    fn apply(&self, x: &[f32], width: usize) -> Vec<f32> {
        let keep = 1.0 / (1.0 - self.rate);
        let mut y = vec![0.0; x.len()];
        let width = width.max(1);
        y.par_chunks_mut(width).zip(x.par_chunks(width)).zip(&*self.rows).for_each(|((y, x), (seed, row))| {
            let mut rng = Rng::with_stream(Rng::with_stream(*seed, self.place).next_u64(), *row);
            y.iter_mut().zip(x).for_each(|(y, x)| *y = if rng.next_f32() < self.rate { 0.0 } else { x * keep });
        });
        y
    }
}

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, width) = layout.shape().dims2()?;
        Ok((CpuStorage::F32(self.apply(floats(self.name(), storage, layout)?, width)), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (_, width) = x.dims2()?;
        let dx = with_floats(grad, |grad| self.apply(grad, width))?;
        Ok(Some(tensor(dx, x.shape().clone())?))
    }
}
