//! Softmax cross entropy of logits.

use super::{floats, tensor, with_floats};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use glm_kernels::cpu::cross_entropy as kernel;

struct CrossEntropy {
    labels: Vec<u32>,
    factors: Vec<f32>,
    total: f32,
}

/// `Σ factor · loss`.
pub(super) fn total(losses: &[f32], factors: &[f32]) -> f32 {
    losses.iter().zip(factors).map(|(l, f)| f64::from(*l) * f64::from(*f)).sum::<f64>() as f32
}

pub(super) fn check(labels: &[u32], rows: usize, vocabulary: usize) -> Result<()> {
    if rows != labels.len() || rows == 0 {
        candle_core::bail!("cross-entropy: {rows} rows of logits for {} labels", labels.len());
    }
    if let Some(label) = labels.iter().find(|l| **l as usize >= vocabulary) {
        candle_core::bail!("cross-entropy: label {label} is outside the vocabulary of {vocabulary}");
    }
    Ok(())
}

/// `logits [N, V]`, `labels [N]`, `factors [N]` → `Σ factor · loss`, a scalar on the tape, and the loss of every row.
///
/// # Errors
/// When there is no row, the counts differ, or a label is outside the vocabulary.
pub fn cross_entropy(logits: &Tensor, labels: &[u32], factors: &[f32]) -> Result<(Tensor, Vec<f32>)> {
    let losses = token_losses(logits, labels)?;
    if factors.len() != labels.len() {
        candle_core::bail!("cross-entropy: {} factors for {} labels", factors.len(), labels.len());
    }
    let op = CrossEntropy { labels: labels.to_vec(), factors: factors.to_vec(), total: total(&losses, factors) };
    Ok((logits.contiguous()?.apply_op1(op)?, losses))
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
        floats(self.name(), storage, layout)?;
        Ok((CpuStorage::F32(vec![self.total]), Shape::from(())))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let scale = grad.to_scalar::<f32>()?;
        let factors: Vec<f32> = self.factors.iter().map(|factor| factor * scale).collect();
        let mut d = vec![0.0; arg.elem_count()];
        with_floats(arg, |logits| kernel::input_gradient(logits, &self.labels, &factors, &mut d))?;
        Ok(Some(tensor(d, arg.shape().clone())?))
    }
}
