//! A checkpoint is reopened and compared with what training began with: an adapter that did not change would have no
//! effect, and nobody would notice.

use crate::cmd::adapter;
use crate::cmd::base::Loaded;
use anyhow::{Context, ensure};
use glm_model::adapter::LoraAdapter;
use glm_model::weights::WeightFolder;
use glm_train::Adapter;
use std::path::Path;

/// Says how far what is saved has moved. `began_with` are the values of [`adapter::values`] before training.
///
/// # Errors
/// When the checkpoint cannot be read back, or `must_move` and it equals what it began with.
pub fn verify(
    checkpoint: &Path,
    base: &Loaded,
    adapter: &Adapter,
    began_with: &Adapter,
    must_move: bool,
) -> anyhow::Result<String> {
    let unreadable = "the checkpoint that was just written cannot be read back";
    let (distance, text) = match (adapter, began_with) {
        (Adapter::Full, _) => {
            let distance = Distance::of_files(&base.folder, checkpoint).context(unreadable)?;
            (distance, format!("the weights moved by {distance}"))
        }
        (Adapter::Lora(_), _) => {
            let saved = adapter::reopen(checkpoint, base.network.config()).context(unreadable)?;
            let Adapter::Lora(lora) = &saved else { anyhow::bail!("{}: expected LoRA", checkpoint.display()) };
            let distance = Distance::between(&adapter::values(began_with)?, &adapter::values(&saved)?);
            let change = weight_change(lora)?;
            ensure!(
                change > 0.0 || !must_move,
                "{}: what LoRA adds to the weights is 0, so it has no effect",
                checkpoint.display()
            );
            (distance, format!("LoRA adds ‖ΔW‖ = {change:.4} to the weights; its factors moved by {distance}"))
        }
        (Adapter::Prefix { .. }, _) => {
            let saved = adapter::reopen(checkpoint, base.network.config()).context(unreadable)?;
            let distance = Distance::between(&key_values(began_with)?, &key_values(&saved)?);
            (distance, format!("the prefix moved by {distance}"))
        }
    };
    ensure!(
        distance.change > 0.0 || !must_move,
        "{} equals what training began with: nothing was learned",
        checkpoint.display()
    );
    Ok(text)
}

/// The keys and values that a prefix stands for, whatever makes them.
fn key_values(adapter: &Adapter) -> anyhow::Result<Vec<Vec<f32>>> {
    let Adapter::Prefix { encoder, .. } = adapter else { anyhow::bail!("expected a prefix") };
    Ok(vec![encoder.key_values()?.flatten_all()?.to_vec1::<f32>()?])
}

/// Frobenius norm of `scale · B A` over all places: `‖B A‖² = tr(BᵀB · A Aᵀ)`, for which no full matrix is made.
fn weight_change(lora: &LoraAdapter) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for pair in lora.parameters().chunks(2) {
        let [(_, a), (_, b)] = pair else { continue };
        let (a, b) = (a.as_tensor().detach(), b.as_tensor().detach());
        let product = (b.t()?.contiguous()?.matmul(&b)? * a.matmul(&a.t()?.contiguous()?)?)?;
        sum += f64::from(product.sum_all()?.to_scalar::<f32>()?).max(0.0);
    }
    Ok(lora.config().scale() * sum.sqrt())
}

/// How far values are from where they began.
#[derive(Debug, Clone, Copy, Default)]
struct Distance {
    change: f64,
    size: f64,
}

impl Distance {
    fn between(before: &[Vec<f32>], after: &[Vec<f32>]) -> Self {
        let mut sums = Self::default();
        for (before, after) in before.iter().zip(after) {
            sums.add(before, after);
        }
        sums.rooted()
    }

    /// Tensor by tensor, so that a large model is never held twice. What the base loses by the checkpoint's types is not
    /// learned, so it is rounded to them first.
    fn of_files(before: &Path, after: &Path) -> anyhow::Result<Self> {
        let (before, after) = (WeightFolder::open(before)?, WeightFolder::open(after)?);
        let mut sums = Self::default();
        for name in after.names() {
            let old = before.get(name).and_then(|tensor| tensor.all_f32());
            let new = after.get(name).and_then(|tensor| Some((tensor.dtype, tensor.all_f32()?)));
            if let (Some(mut old), Some((dtype, new))) = (old, new) {
                dtype.round(&mut old);
                sums.add(&old, &new);
            }
            before.release(name);
            after.release(name);
        }
        Ok(sums.rooted())
    }

    fn add(&mut self, before: &[f32], after: &[f32]) {
        self.change += before.iter().zip(after).map(|(a, b)| f64::from(b - a).powi(2)).sum::<f64>();
        self.size += before.iter().map(|a| f64::from(*a).powi(2)).sum::<f64>();
    }

    fn rooted(self) -> Self {
        Self { change: self.change.sqrt(), size: self.size.sqrt() }
    }
}

impl std::fmt::Display for Distance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = 100.0 * self.change / self.size.max(1e-12);
        // A small change of many weights is still a change.
        let (digits, share_digits) = if share < 0.1 { (6, 4) } else { (3, 1) };
        write!(f, "‖Δ‖ = {:.digits$} ({share:.share_digits$} % of its norm)", self.change)
    }
}
