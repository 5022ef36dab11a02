//! The loss on the validation rows.

use crate::cmd::base::Loaded;
use crate::cmd::progress::TrainProgress;
use crate::config::RunConfig;
use glm_data::TrainRow;
use glm_train::journal::{Metrics, Split, save_results, split_metrics};
use glm_train::{Adapter, Observer, trainer};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// The loss on the validation rows, written and printed; `None` when it was stopped.
///
/// # Errors
/// When a loss is not finite, or a file cannot be written.
pub fn evaluate(
    settings: &RunConfig,
    base: &Loaded,
    adapter: Option<&Adapter>,
    rows: &[TrainRow],
    stop: &AtomicBool,
) -> anyhow::Result<Option<Metrics>> {
    let mut progress = TrainProgress::new(settings.progress);
    let (began, size) = (Instant::now(), settings.train.per_device_eval_batch_size);
    let loss = trainer::evaluate(&base.network, adapter, rows, size, stop, |done, of| progress.evaluating(done, of))?;
    let Some(loss) = loss else {
        eprintln!("stopped during the evaluation: its loss is not written");
        return Ok(None);
    };
    let mut scores = vec![("loss", loss)];
    // Past this the perplexity is no finite number.
    if loss < 700.0 {
        scores.push(("perplexity", loss.exp()));
    }
    let batches = rows.len().div_ceil(size) as u64;
    let metrics = split_metrics(Split::Eval, &scores, began.elapsed(), rows.len() as u64, batches)?;
    save_results(&settings.output_dir, Split::Eval, &metrics)?;
    println!("eval_loss {loss:.4}  perplexity {:.3}  ({} rows)", loss.exp(), rows.len());
    Ok(Some(metrics))
}
