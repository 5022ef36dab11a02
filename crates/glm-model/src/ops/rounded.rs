//! Weights that are held in f32 and used in bfloat16.

use super::floats;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use half::bf16;
use rayon::prelude::*;

/// Values that one thread rounds before it asks for more.
const PART: usize = 1 << 16;

struct Rounded;

/// `x` with every value rounded to the nearest bfloat16, as f32. The gradient passes as if nothing were rounded: the step
/// function's own would be 0 everywhere, and nothing would train.
///
/// # Errors
/// When `x` does not hold f32.
pub fn rounded_to_bf16(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Rounded)
}

impl CustomOp1 for Rounded {
    fn name(&self) -> &'static str {
        "rounded_to_bf16"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut y = floats(self.name(), storage, layout)?.to_vec();
        y.par_chunks_mut(PART).for_each(|y| y.iter_mut().for_each(|v| *v = bf16::from_f32(*v).to_f32()));
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, _x: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(grad.clone()))
    }
}
