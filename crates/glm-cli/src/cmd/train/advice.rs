//! What usually goes wrong with such settings, said before hours are spent.

use super::rows::Samples;
use crate::config::RunConfig;
use crate::config::adapter::AdapterConfig;
use crate::config::advice::{Trains, learning_rate};
use glm_train::schedule::RunLength;
use glm_train::{Adapter, IntervalStrategy};

/// Says it.
///
/// # Errors
/// When there are no rows.
pub fn advise(settings: &RunConfig, adapter: &Adapter, train: &Samples) -> anyhow::Result<()> {
    let config = &settings.train;
    let length = RunLength::new(train.samples.len(), config)?;
    let trains = match adapter {
        Adapter::Prefix { .. } => Trains::Prefix,
        Adapter::Lora(_) => Trains::Lora,
        Adapter::Full => Trains::Weights,
    };
    // Otherwise it was said when the flags were read.
    let told_by_file = matches!(settings.adapter, Some(AdapterConfig::FromFile { .. }));
    if let Some(advice) = learning_rate(trains, config.learning_rate).filter(|_| told_by_file) {
        eprintln!("warning: {advice}");
    }
    let steps_saved = config.save_strategy == IntervalStrategy::Steps;
    if steps_saved && config.max_steps.is_none() && config.save_steps as u64 > length.total_steps {
        eprintln!(
            "warning: --save_steps {} is more than the {} steps of this run; only the final checkpoint will be saved",
            config.save_steps, length.total_steps
        );
    }
    let accumulation = config.gradient_accumulation_steps as u64;
    if length.micro_batches_per_epoch < accumulation {
        eprintln!(
            "warning: an epoch has {} micro batches, fewer than --gradient_accumulation_steps {accumulation}: as officially, \
             each step ends with the epoch and is still divided by {accumulation}, so losses and gradients look smaller",
            length.micro_batches_per_epoch
        );
    }
    if train.samples.len() < 1000 && config.learning_rate > 5e-3 && length.num_train_epochs > 10 {
        eprintln!(
            "warning: {} rows seen {} times at learning rate {:e}: the model will answer other questions with this data too; \
             fewer steps or a smaller rate keep more of what it knew",
            train.samples.len(),
            length.num_train_epochs,
            config.learning_rate
        );
    }
    Ok(())
}
