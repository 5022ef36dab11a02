//! Loss on held-out rows.

use crate::adapter::Adapter;
use crate::error::{Result, TrainError, rows};
use crate::step;
use glm_data::{Batch, TrainRow};
use glm_model::Network;
use glm_model::adapter::PrefixSlots;

/// Mean over rows of the mean loss of their batch, as transformers reports `eval_loss`.
///
/// # Errors
/// When no row has a label, or a loss is not finite (the rows are named).
pub fn evaluate(
    network: &Network,
    adapter: &Adapter,
    rows_: &[TrainRow],
    batch_size: usize,
    mut progress: impl FnMut(usize, usize),
) -> Result<f64> {
    let mut slots = PrefixSlots::default();
    let slot = match adapter {
        Adapter::Prefix { encoder, .. } => Some(slots.add(encoder)?),
        Adapter::Full => None,
    };
    let (mut sum, mut counted, mut done) = (0.0, 0, 0);
    for chunk in rows_.chunks(batch_size.max(1)) {
        let batch = Batch::pack(chunk, slot);
        if let Some(loss) = step::evaluate(network, &slots.past(&batch.segments)?, &batch)? {
            if !loss.mean.is_finite() {
                let what = format!("the loss on the validation file is {}", loss.mean);
                return Err(TrainError::NonFinite { step: 0, what, rows: rows(&batch.sources()) });
            }
            sum += f64::from(loss.mean) * chunk.len() as f64;
            counted += chunk.len();
        }
        done += chunk.len();
        progress(done, rows_.len());
    }
    if counted == 0 {
        let what = "no validation row has a label".to_owned();
        return Err(TrainError::NonFinite { step: 0, what, rows: String::from("all") });
    }
    Ok(sum / counted as f64)
}
