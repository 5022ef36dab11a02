//! Dropout whose mask is drawn again from its seed wherever it is needed, so that none is stored and a block that is
//! recomputed drops the same values.

use super::{floats, tensor, with_floats};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use glm_data::Rng;
use rayon::prelude::*;

/// Which values are dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Probability that a value becomes 0; the others grow by `1 / (1 - rate)`.
    pub rate: f32,
    /// Decides the mask.
    pub seed: u64,
}

/// `x [T, width]` with some values dropped. Rate 0 gives `x` itself.
///
/// # Errors
/// When `x` is not a matrix.
pub fn dropout(x: &Tensor, dropout: Dropout) -> Result<Tensor> {
    if dropout.rate <= 0.0 {
        return Ok(x.clone());
    }
    x.contiguous()?.apply_op1(dropout)
}

impl Dropout {
    /// Every row has a stream of its own, so that the number of threads changes nothing.
    fn apply(self, x: &[f32], width: usize) -> Vec<f32> {
        let keep = 1.0 / (1.0 - self.rate);
        let mut y = vec![0.0; x.len()];
        let width = width.max(1);
        y.par_chunks_mut(width).zip(x.par_chunks(width)).enumerate().for_each(|(row, (y, x))| {
            let mut rng = Rng::with_stream(self.seed, row as u64);
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
