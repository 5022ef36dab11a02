//! RMSNorm with a weight that may train.

use super::{floats, tensor, with_floats};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use glm_kernels::cpu::rms_norm as kernel;

struct RmsNorm {
    eps: f32,
}

/// `x [T, H]`, `weight [H]` → `[T, H]`; statistics in f32, eps inside the square root.
///
/// # Errors
/// When shapes do not fit.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f32) -> Result<Tensor> {
    x.contiguous()?.apply_op2(weight, RmsNorm { eps })
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (floats(self.name(), s1, l1)?, floats(self.name(), s2, l2)?);
        let mut y = vec![0.0; x.len()];
        kernel::forward(x, weight, self.eps, &mut y);
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (mut dx, mut dw) = (vec![0.0; x.elem_count()], vec![0.0; weight.elem_count()]);
        let (need_x, need_w) = (x.track_op(), weight.track_op());
        with_floats(x, |x| {
            with_floats(grad, |dy| -> Result<()> {
                if need_x {
                    with_floats(weight, |w| kernel::input_gradient(x, w, self.eps, dy, &mut dx))?;
                }
                if need_w {
                    kernel::weight_gradient(x, self.eps, dy, &mut dw);
                }
                Ok(())
            })?
        })??;
        let dx = need_x.then(|| tensor(dx, x.shape().clone())).transpose()?;
        let dw = need_w.then(|| tensor(dw, weight.shape().clone())).transpose()?;
        Ok((dx, dw))
    }
}
