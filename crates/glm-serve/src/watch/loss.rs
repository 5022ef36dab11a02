//! The loss of an adapter on rows, computed beside requests.

use crate::model::Model;
use crate::models::Answerer;
use candle_core::{Device, Tensor};
use glm_data::{Batch, Target, TrainRow};
use std::time::{Duration, Instant};

/// Most tokens of a pass, unless a prompt that cannot be cut (ChatGLM-6B's) is longer: as many as the scheduler reads of a
/// prompt beside answers.
const PIECE: usize = 64;

/// Why there is no loss.
#[derive(Debug, thiserror::Error)]
pub enum LossError {
    /// The caller wants no more.
    #[error("the server is shutting down")]
    Stopped,
    /// The network.
    #[error(transparent)]
    Model(#[from] glm_model::ModelError),
    /// A tensor.
    #[error("{0}")]
    Tensor(#[from] candle_core::Error),
    /// A loss that is no number.
    #[error("row {row}: the loss is {loss}; the checkpoint, or what it was trained from, is broken")]
    NotFinite {
        /// Row in the file, counted from 1.
        row: usize,
        /// The loss.
        loss: f64,
    },
    /// Nothing to compare with.
    #[error("no row has a token to compare with")]
    NoTarget,
}

/// Mean cross entropy of the answers' tokens of all rows. `rest` is called after each pass with the time that it took; `false`
/// ends the evaluation.
///
/// # Errors
/// See [`LossError`].
pub fn mean(
    model: &Model,
    answerer: &Answerer,
    rows: &[TrainRow],
    rest: &mut dyn FnMut(Duration) -> bool,
) -> Result<f64, LossError> {
    let (mut sum, mut count) = (0.0, 0);
    for row in rows {
        let losses = of_row(model, answerer.slot(), row, rest)?;
        let own: f64 = losses.iter().map(|loss| f64::from(*loss)).sum();
        if !own.is_finite() {
            return Err(LossError::NotFinite { row: row.source + 1, loss: own });
        }
        sum += own;
        count += losses.len();
    }
    if count == 0 { Err(LossError::NoTarget) } else { Ok(sum / count as f64) }
}

/// Losses of a row's targets, in pieces of few tokens, each of which sees those before it through a cache.
fn of_row(
    model: &Model,
    slot: Option<usize>,
    row: &TrainRow,
    rest: &mut dyn FnMut(Duration) -> bool,
) -> Result<Vec<f32>, LossError> {
    let network = &model.network;
    let targets = Batch::pack([row], slot).supervised();
    // What stands behind the last target changes no loss.
    let Some(end) = targets.last().map(|target| target.position as usize + 1) else { return Ok(Vec::new()) };
    let mut cache = network.new_cache();
    let mut losses = Vec::with_capacity(targets.len());
    let mut first = 0;
    while first < end {
        let began = Instant::now();
        // Tokens that all see one another cannot be parted.
        let whole = if first == 0 { row.positions.context_len() } else { 0 };
        let last = (first + PIECE.max(whole)).min(end);
        let mut batch = Batch::default();
        batch.push(&row.ids[first..last], first, row.positions, slot, row.source);
        let inputs = model.slots.inputs(&batch.segments)?;
        cache.reserve(last - first);
        let due: Vec<&Target> =
            targets.iter().filter(|target| (first..last).contains(&(target.position as usize))).collect();
        // Where none is due the cache alone is wanted, and one row is the least that can be read.
        let read: Vec<u32> = match due.as_slice() {
            [] => vec![0],
            due => due.iter().map(|target| target.position - first as u32).collect(),
        };
        let read = Tensor::new(read, &Device::Cpu)?;
        let hidden = network.forward_cached_at(&batch, &inputs, &mut [&mut cache], Some(&read))?;
        if !due.is_empty() {
            let labels: Vec<u32> = due.iter().map(|target| target.label).collect();
            losses.extend(network.losses(&hidden, &labels)?);
        }
        first = last;
        if !rest(began.elapsed()) {
            return Err(LossError::Stopped);
        }
    }
    Ok(losses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Models;
    use glm_data::{IGNORE_INDEX, Positions, Tokenizer, Variant};
    use glm_model::{LoadOptions, Network};
    use glm_testkit::fixture;
    use std::sync::Arc;

    /// A row whose prompt is longer than a piece, and whose answer ends in the middle of one.
    fn row(tokens: usize, positions: Positions, context: usize, vocabulary: usize) -> TrainRow {
        let ids: Vec<u32> = (0..tokens).map(|i| ((i * i + 7 * i) % (vocabulary - 3)) as u32 + 3).collect();
        let label = |i: usize| if i < context || i + 5 > tokens { IGNORE_INDEX } else { i64::from(ids[i]) };
        TrainRow { labels: (0..tokens).map(label).collect(), ids, context_len: context, positions, source: 4 }
    }

    #[test]
    fn pieces_give_the_loss_of_the_whole() {
        for (base, variant, vocabulary) in [
            ("glm2-tiny", Variant::ChatGlm2, "tiny-tokenizer/tokenizer.model"),
            ("glm1-tiny", Variant::ChatGlm, "glm1-tokenizer/ice_text.model"),
        ] {
            let folder = fixture(&format!("{base}/model"));
            let network = Network::load(&folder, LoadOptions::default(), &mut |_, _| {}).unwrap();
            let tokenizer = Tokenizer::from_file(&fixture(vocabulary), variant).unwrap();
            let models = Models::new(Arc::new(Model::new(network, tokenizer)), "base");
            let model = models.model();
            let positions = |context_len: usize| match variant {
                Variant::ChatGlm => Positions::Block { context_len, mask_position: context_len - 1 },
                _ => Positions::Linear,
            };
            let size = model.network.config().vocab_size;
            let rows =
                [row(150, positions(90), 91, size), row(20, positions(3), 4, size), row(64, positions(5), 6, size)];
            for name in ["ptuning-noproj-checkpoint", "lora/adapter-all"] {
                let answerer = models.replace("adapter", &fixture(&format!("{base}/{name}"))).unwrap();
                let (mut sum, mut count) = (0.0, 0);
                for row in &rows {
                    let batch = Batch::pack([row], answerer.slot());
                    let targets = batch.supervised();
                    let read: Vec<u32> = targets.iter().map(|target| target.position).collect();
                    let labels: Vec<u32> = targets.iter().map(|target| target.label).collect();
                    let inputs = model.slots.inputs(&batch.segments).unwrap();
                    let read = Tensor::new(read, &Device::Cpu).unwrap();
                    let hidden = model.network.forward_at(&batch, &inputs, Some(&read)).unwrap();
                    let losses = model.network.losses(&hidden, &labels).unwrap();
                    sum += losses.iter().map(|loss| f64::from(*loss)).sum::<f64>();
                    count += losses.len();
                }
                let mut passes = 0;
                let mut rest = |_| {
                    passes += 1;
                    true
                };
                let found = mean(model, &answerer, &rows, &mut rest).unwrap();
                let expected = sum / count as f64;
                assert!((found - expected).abs() < 1e-5 * expected, "{base} {name}: {found}, expected {expected}");
                assert!(passes >= 4, "{passes}");
                assert!(matches!(mean(model, &answerer, &rows, &mut |_| false), Err(LossError::Stopped)));
                assert!(matches!(mean(model, &answerer, &[], &mut |_| true), Err(LossError::NoTarget)));
            }
        }
    }
}
