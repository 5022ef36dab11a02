//! One training from the first step, or a checkpoint, to its last checkpoint.

use super::advice::advise;
use super::rows::Samples;
use crate::args::types::Resume;
use crate::cmd::adapter;
use crate::cmd::base::Loaded;
use crate::cmd::checkpoint::{self, CheckpointWriter};
use crate::cmd::progress::TrainProgress;
use crate::config::RunConfig;
use glm_data::{TrainRow, fingerprint_file};
use glm_train::schedule::{RunLength, Schedule};
use glm_train::{Adapter, Trainer, run_dir, trainer};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Trains; `true` when it was interrupted.
///
/// # Errors
/// When a number is not finite, a file cannot be written, or a checkpoint does not belong to the run.
pub fn train(
    settings: &RunConfig,
    base: &Loaded,
    adapter: &Adapter,
    train: &Samples,
    eval_rows: &[TrainRow],
    stop: &AtomicBool,
) -> anyhow::Result<bool> {
    let output = settings.output_dir.as_path();
    let writer = CheckpointWriter::new(settings, base, adapter, &train.rows, fingerprint_file(&train.rows.file)?);
    let save = |folder: &Path| writer.write(folder);
    let trainer = Trainer {
        network: &base.network,
        adapter,
        config: &settings.train,
        rows: &train.samples,
        eval_rows,
        output_dir: output,
        tensorboard: settings.tensorboard.as_deref(),
        save_adapter: &save,
    };
    let resume = match &settings.resume {
        None => None,
        Some(Resume::Path(path)) => Some(path.clone()),
        Some(Resume::Auto) => newest(&trainer)?,
    };
    advise(settings, adapter, train)?;
    let trainable = adapter.parameter_count(&base.network);
    let all = match adapter {
        Adapter::Full => base.network.parameter_count(),
        _ => base.network.parameter_count() + trainable,
    };
    eprintln!("trainable: {trainable} of {all} parameters ({:.4} %)", 100.0 * trainable as f64 / all as f64);
    let began_with = adapter::copy(adapter, base.network.config())?;
    let mut progress = TrainProgress::new(settings.progress);
    let outcome = trainer.run(resume.as_deref(), stop, &mut progress)?;
    drop(progress);
    if outcome.step == 0 {
        eprintln!("stopped before the first step: nothing to save");
        return Ok(true);
    }
    let schedule = Schedule::new(&settings.train, RunLength::new(train.samples.len(), &settings.train)?.total_steps);
    // In a warm-up the first rate is 0, and then nothing can have moved.
    let must_move = (0..outcome.step).any(|step| schedule.rate(step) > 0.0);
    eprintln!("{}", checkpoint::verify(&outcome.checkpoint, base, adapter, &began_with, must_move)?);
    let seconds = outcome.runtime.as_secs_f64();
    let checkpoint = outcome.checkpoint.display();
    if settings.save_into_output_dir && !outcome.interrupted {
        checkpoint::place_in(output, &outcome.checkpoint)?;
    }
    if outcome.interrupted {
        eprintln!(
            "stopped after step {}; saved {checkpoint}. To go on: the same command with --resume_from_checkpoint auto",
            outcome.step
        );
    } else if outcome.was_complete {
        eprintln!(
            "the run was already complete: {checkpoint} is its last step, and its results are left as they are. To train \
             longer, raise --max_steps or --num_train_epochs",
        );
    } else {
        eprintln!(
            "trained {} steps in {seconds:.1} s, mean loss {:.4}; checkpoint {checkpoint}",
            outcome.step, outcome.train_loss
        );
    }
    Ok(outcome.interrupted)
}

/// The checkpoint that a run goes on from by itself; `None`: it begins anew.
fn newest(trainer: &Trainer<'_>) -> anyhow::Result<Option<PathBuf>> {
    let output = trainer.output_dir;
    // Its other files have other names, so by these alone a run of another method would look like none.
    let state = [trainer::STATE_FILE, trainer::TENSORS_FILE];
    if let Some(newest) = run_dir::latest_checkpoint(output, &state)?
        && let Some(refusal) = trainer.other_method(&newest.path)
    {
        return Err(refusal.into());
    }
    let found = run_dir::latest_checkpoint(output, &[state[0], state[1], checkpoint::main_file(trainer.adapter)])?;
    if found.is_none() {
        eprintln!("no complete checkpoint in {}: starting from the beginning", output.display());
        // What is there is incomplete or of other scripts, and must not be overwritten.
        if let Some(folder) = run_dir::set_aside_checkpoints(output)? {
            eprintln!("note: checkpoints that this run cannot go on from were moved to {}", folder.display());
        }
    }
    Ok(found.map(|checkpoint| checkpoint.path))
}
