//! The time of the output layer and the loss, which a vocabulary of tens of thousands makes as dear as several blocks.

use super::shortest;
use crate::error::Result;
use candle_core::Var;
use glm_model::{Network, ops};

/// Seconds of the final norm, the output layer and the loss on `targets` rows, forward and backward.
///
/// # Errors
/// When memory runs out.
pub fn head_time(network: &Network, targets: usize) -> Result<f64> {
    let config = network.config();
    let rows = targets.max(1);
    let values = (0..rows * config.hidden_size).map(|i| (i as f32 * 0.37).sin()).collect();
    let hidden = Var::from_tensor(&ops::tensor(values, (rows, config.hidden_size))?)?;
    let labels: Vec<u32> = (0..rows).map(|i| (i % config.vocab_size.max(1)) as u32).collect();
    let factors = vec![1.0 / rows as f32; rows];
    shortest(|| {
        network.loss(hidden.as_tensor(), &labels, &factors)?.0.backward()?;
        Ok(())
    })
}
