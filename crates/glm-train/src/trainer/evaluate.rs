//! Loss on held-out rows.

use crate::adapter::Adapter;
use crate::error::{Result, TrainError, rows};
use crate::step;
use glm_data::{Batch, TrainRow};
use glm_model::Network;
use glm_model::adapter::AdapterSlots;
use std::sync::atomic::{AtomicBool, Ordering};

/// Mean over rows of the mean loss of their batch, as transformers reports `eval_loss`; without an adapter, that of the
/// bare base. `None` when `stop` was set before the last row.
///
/// # Errors
/// When no row has a label, or a loss is not finite (the rows are named).
pub fn evaluate(
    network: &Network,
    adapter: Option<&Adapter>,
    rows_: &[TrainRow],
    batch_size: usize,
    stop: &AtomicBool,
    mut progress: impl FnMut(usize, usize),
) -> Result<Option<f64>> {
    let slots = AdapterSlots::default();
    let slot = match adapter {
        Some(Adapter::Prefix { encoder, .. }) => Some(slots.add(encoder)?),
        Some(Adapter::Lora(adapter)) => Some(slots.add_lora(adapter)),
        Some(Adapter::Full) | None => None,
    };
    let (mut sum, mut counted, mut done) = (0.0, 0, 0);
    for chunk in rows_.chunks(batch_size.max(1)) {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let batch = Batch::pack(chunk, slot);
        if let Some(loss) = step::evaluate(network, &slots.inputs(&batch.segments)?, &batch)? {
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
    Ok(Some(sum / counted as f64))
}
