//! LayerNorm with a weight and a bias that may train.

use super::{floats, tensor, with_floats};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use glm_kernels::cpu::layer_norm as kernel;

struct LayerNorm {
    eps: f32,
}

/// `x [T, H]`, `weight [H]`, `bias [H]` → `[T, H]`; eps inside the square root.
///
/// # Errors
/// When shapes do not fit.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f32) -> Result<Tensor> {
    let width = x.dim(1)?;
    if weight.dims1()? != width || bias.dims1()? != width {
        candle_core::bail!("layer-norm: {:?} and {:?} for rows of {width} values", weight.shape(), bias.shape());
    }
    x.contiguous()?.apply_op3(weight, bias, LayerNorm { eps })
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let name = self.name();
        let (x, weight, bias) = (floats(name, s1, l1)?, floats(name, s2, l2)?, floats(name, s3, l3)?);
        let mut y = vec![0.0; x.len()];
        kernel::forward(x, weight, bias, self.eps, &mut y);
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let width = weight.elem_count();
        let trains = weight.track_op() || bias.track_op();
        let mut dx = x.track_op().then(|| vec![0.0; x.elem_count()]);
        let mut parameters = trains.then(|| (vec![0.0; width], vec![0.0; width]));
        with_floats(x, |x| {
            with_floats(grad, |dy| -> Result<()> {
                if let Some(dx) = &mut dx {
                    with_floats(weight, |w| kernel::input_gradient(x, w, self.eps, dy, dx))?;
                }
                if let Some((dw, db)) = &mut parameters {
                    kernel::parameter_gradients(x, self.eps, dy, dw, db);
                }
                Ok(())
            })?
        })??;
        let dx = dx.map(|dx| tensor(dx, x.shape().clone())).transpose()?;
        let Some((dw, db)) = parameters else { return Ok((dx, None, None)) };
        let dw = weight.track_op().then(|| tensor(dw, width)).transpose()?;
        let db = bias.track_op().then(|| tensor(db, width)).transpose()?;
        Ok((dx, dw, db))
    }
}
