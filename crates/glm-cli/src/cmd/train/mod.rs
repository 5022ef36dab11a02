//! `glmtune train`: what the official `main.py` does. Train, evaluate, predict, each when asked for.

mod adapt;
mod advice;
mod evaluate;
mod rows;

pub use rows::{limited, say, training_rows};

use super::base::{self, Loaded};
use super::{adapter, predict, signals, threads};
use crate::config::RunConfig;
use anyhow::{Context, bail};
use glm_train::{Adapter, atomic, run_dir};
use rows::Data;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Name of the file with the resolved settings.
pub const CONFIG_FILE: &str = "run_config.json";
/// Name of that of a run that does not train, so that it does not replace the training's in the same folder.
pub const EVALUATION_CONFIG_FILE: &str = "evaluation_config.json";
/// Exit code after SIGINT or SIGTERM.
pub const INTERRUPTED: i32 = 130;

/// Runs it.
///
/// # Errors
/// Names the file, line, tensor or flag, and what to do.
pub fn run(settings: RunConfig) -> anyhow::Result<()> {
    threads::set(settings.threads)?;
    // Rows are read before the base: a broken row should not cost the time of loading twelve gigabytes.
    let prepared = base::prepare(&settings.base, settings.adapter.as_ref())?;
    if let (true, Some(adapter)) = (settings.do_train, &settings.adapter) {
        adapter::check_size(adapter, &prepared.config, settings.train.per_device_train_batch_size)?;
    }
    // Not earlier: a download is to end at the first signal.
    let stop = signals::stop_flag()?;
    let data = Data::read(&settings, &prepared.tokenizer)?;
    let base = prepared.load(settings.progress)?;
    work(&settings, &base, &data, &stop)?;
    if stop.load(Ordering::Relaxed) {
        std::process::exit(INTERRUPTED);
    }
    Ok(())
}

/// As [`run`], on a base that is loaded already.
///
/// # Errors
/// As [`run`].
pub fn run_with(settings: &RunConfig, base: &Loaded, stop: &AtomicBool) -> anyhow::Result<()> {
    work(settings, base, &Data::read(settings, &base.tokenizer)?, stop)
}

fn work(settings: &RunConfig, base: &Loaded, data: &Data, stop: &AtomicBool) -> anyhow::Result<()> {
    let output = settings.output_dir.as_path();
    std::fs::create_dir_all(output).with_context(|| format!("--output_dir {}", output.display()))?;
    // Only for training: an evaluation may share the folder with a training that is just saving.
    let _lock = settings.do_train.then(|| lock(output)).transpose()?;
    if settings.do_train {
        atomic::remove_leftovers(output)?;
        if settings.resume.is_none()
            && let Some(folder) = run_dir::set_aside_checkpoints(output)?
        {
            eprintln!("note: the checkpoints of an earlier run were moved to {}", folder.display());
        }
    }
    let name = if settings.do_train { CONFIG_FILE } else { EVALUATION_CONFIG_FILE };
    let text = serde_json::to_string_pretty(settings).context("the settings as json")?;
    atomic::write_file(&output.join(name), format!("{text}\n").as_bytes())?;
    let adapter = what_trains(settings, base)?;
    if let Some(train) = &data.train {
        let Some(adapter) = &adapter else { bail!("--method none: there is nothing to train") };
        let eval_rows = data.eval.as_ref().map_or(&[][..], |eval| &eval.samples);
        if adapt::train(settings, base, adapter, train, eval_rows, stop)? {
            return Ok(());
        }
    }
    let loss = match &data.eval {
        Some(eval) => evaluate::evaluate(settings, base, adapter.as_ref(), &eval.samples, stop)?,
        None => None,
    };
    predict::run(settings, base, adapter.as_ref(), &data.predict, loss, stop)
}

/// What trains or is used: from files, fresh, or none.
fn what_trains(settings: &RunConfig, base: &Loaded) -> anyhow::Result<Option<Adapter>> {
    let Some(config) = &settings.adapter else { return Ok(None) };
    let (adapter, origin) = match (&base.adapter, config.init_from()) {
        // A copy, so that the base could be trained on once more.
        (Some(opened), Some(files)) => {
            (adapter::copy(opened, base.network.config())?, format!("from {}", files.display()))
        }
        _ => {
            let rows = settings.train.per_device_train_batch_size;
            let origin = if settings.resume.is_some() { "fresh unless resumed" } else { "fresh" };
            (adapter::fresh(config, &base.network, settings.train.seed, rows)?, origin.to_owned())
        }
    };
    eprintln!("{}", adapter::describe(&adapter, &base.network, &origin));
    Ok(Some(adapter))
}

/// Makes sure that one process alone trains into a folder, for as long as the file is open.
fn lock(output: &Path) -> anyhow::Result<File> {
    let path = output.join("run.lock");
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    // A server that shows runs takes the lock for a moment to see whether somebody trains.
    let mut tries = 1..20;
    let taken = loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if tries.next().is_some() => std::thread::sleep(Duration::from_millis(10)),
            taken => break taken,
        }
    };
    match taken {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "--output_dir {}: another glmtune is training into this folder; wait for it or give another one",
                output.display()
            )
        }
        // A file system without locks: the run is no worse off than before.
        Err(TryLockError::Error(_)) => Ok(file),
    }
}
