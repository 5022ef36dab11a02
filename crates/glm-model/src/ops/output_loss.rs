//! Output layer and cross entropy in one, with a frozen layer; the backward gives the gradient of its input alone.

use super::{cross_entropy::check, floats, tensor, with_floats};
use crate::quant::Frozen;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use glm_kernels::cpu::output_loss::losses;

/// The value of a scalar and its gradient, known beforehand.
struct Known {
    value: f32,
    gradient: Tensor,
}

/// `x [N, in]`, `W [vocab, in]` → the loss of every row, `[N]`, without gradient.
///
/// # Errors
/// When there is no row, the counts differ, or a label is outside the vocabulary.
pub fn output_losses(x: &Tensor, weight: &Frozen, labels: &[u32]) -> Result<Vec<f32>> {
    fits(x, weight, labels)?;
    let mut found = vec![0.0; labels.len()];
    with_floats(x, |x| losses(&weight.weight.matrix(), weight.compute, x, labels, &mut found, None))?;
    Ok(found)
}

/// As [`output_losses`], and `Σ factor · loss`, a scalar on the tape of `x`.
///
/// # Errors
/// As [`output_losses`].
pub fn output_loss(x: &Tensor, weight: &Frozen, labels: &[u32], factors: &[f32]) -> Result<(Tensor, Vec<f32>)> {
    fits(x, weight, labels)?;
    if factors.len() != labels.len() {
        candle_core::bail!("output layer: {} factors for {} labels", factors.len(), labels.len());
    }
    let (mut found, mut dx) = (vec![0.0; labels.len()], vec![0.0; x.elem_count()]);
    let Frozen { weight, compute } = weight;
    with_floats(x, |x| losses(&weight.matrix(), *compute, x, labels, &mut found, Some((factors, &mut dx))))?;
    let known = Known { value: super::cross_entropy::total(&found, factors), gradient: tensor(dx, x.shape().clone())? };
    Ok((x.contiguous()?.apply_op1(known)?, found))
}

fn fits(x: &Tensor, weight: &Frozen, labels: &[u32]) -> Result<()> {
    let ((rows, width), (vocabulary, inner)) = (x.dims2()?, weight.weight.shape());
    if width != inner {
        candle_core::bail!("output layer: input has {width} columns, the weight [{vocabulary}, {inner}] needs {inner}");
    }
    check(labels, rows, vocabulary)
}

impl CustomOp1 for Known {
    fn name(&self) -> &'static str {
        "output-loss"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        floats(self.name(), storage, layout)?;
        Ok((CpuStorage::F32(vec![self.value]), Shape::from(())))
    }

    fn bwd(&self, _arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let scale = f64::from(grad.to_scalar::<f32>()?);
        Ok(Some(if scale == 1.0 { self.gradient.clone() } else { (&self.gradient * scale)? }))
    }
}
