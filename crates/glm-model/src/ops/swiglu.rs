//! SwiGLU on rows that hold gate and value one after the other.

use super::{floats, tensor, with_floats};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use glm_kernels::cpu::swiglu as kernel;

struct SwiGlu;

/// `x [T, 2F]` → `silu(first half) * second half`, `[T, F]`.
///
/// # Errors
/// When `x` is not two-dimensional.
pub fn swiglu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(SwiGlu)
}

impl CustomOp1 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (tokens, width) = layout.shape().dims2()?;
        let mut y = vec![0.0; tokens * width / 2];
        kernel::forward(floats(self.name(), storage, layout)?, width / 2, &mut y);
        Ok((CpuStorage::F32(y), Shape::from((tokens, width / 2))))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let half = arg.dim(1)? / 2;
        let mut dx = vec![0.0; arg.elem_count()];
        with_floats(arg, |x| with_floats(grad, |dy| kernel::input_gradient(x, half, dy, &mut dx)))??;
        Ok(Some(tensor(dx, arg.shape().clone())?))
    }
}
