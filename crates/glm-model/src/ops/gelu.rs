//! GELU in its tanh form.

use super::{floats, tensor, with_floats};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use glm_kernels::cpu::gelu as kernel;

struct Gelu;

/// `x` → the same shape.
///
/// # Errors
/// When memory runs out.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Gelu)
}

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = floats(self.name(), storage, layout)?;
        let mut y = vec![0.0; x.len()];
        kernel::forward(x, &mut y);
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut dx = vec![0.0; arg.elem_count()];
        with_floats(arg, |x| with_floats(grad, |dy| kernel::input_gradient(x, dy, &mut dx)))??;
        Ok(Some(tensor(dx, arg.shape().clone())?))
    }
}
