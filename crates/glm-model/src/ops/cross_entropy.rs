//! Mean softmax cross entropy over the supervised rows.

use super::{floats, tensor, with_floats};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use glm_kernels::cpu::cross_entropy as kernel;
use std::sync::Arc;

struct CrossEntropy(Arc<Vec<u32>>);

fn check(labels: &[u32], rows: usize, vocabulary: usize) -> Result<()> {
    if rows != labels.len() || rows == 0 {
        candle_core::bail!("cross-entropy: {rows} rows of logits for {} labels", labels.len());
    }
    if let Some(label) = labels.iter().find(|l| **l as usize >= vocabulary) {
        candle_core::bail!("cross-entropy: label {label} is outside the vocabulary of {vocabulary}");
    }
    Ok(())
}

/// `logits [N, V]`, `labels [N]` → the mean loss, a scalar.
///
/// # Errors
/// When there is no row, the counts differ, or a label is outside the vocabulary.
pub fn cross_entropy(logits: &Tensor, labels: Vec<u32>) -> Result<Tensor> {
    logits.contiguous()?.apply_op1(CrossEntropy(Arc::new(labels)))
}

/// The loss of every row, without gradient, `[N]`.
///
/// # Errors
/// As [`cross_entropy`].
pub fn token_losses(logits: &Tensor, labels: &[u32]) -> Result<Vec<f32>> {
    let (rows, vocabulary) = logits.dims2()?;
    check(labels, rows, vocabulary)?;
    let mut losses = vec![0.0; rows];
    with_floats(logits, |logits| kernel::forward(logits, labels, &mut losses))?;
    Ok(losses)
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, vocabulary) = layout.shape().dims2()?;
        check(&self.0, rows, vocabulary)?;
        let mut losses = vec![0.0; rows];
        kernel::forward(floats(self.name(), storage, layout)?, &self.0, &mut losses);
        let mean = losses.iter().map(|l| f64::from(*l)).sum::<f64>() / rows as f64;
        Ok((CpuStorage::F32(vec![mean as f32]), Shape::from(())))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let scale = grad.to_scalar::<f32>()? / self.0.len() as f32;
        let mut d = vec![0.0; arg.elem_count()];
        with_floats(arg, |logits| kernel::input_gradient(logits, &self.0, scale, &mut d))?;
        Ok(Some(tensor(d, arg.shape().clone())?))
    }
}
