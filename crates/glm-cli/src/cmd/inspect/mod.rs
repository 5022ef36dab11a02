//! `glmtune inspect`: what a folder or a file holds, and whether it is whole.

mod base;
mod gguf;
mod lora;
mod prefix;
pub mod report;
mod run_folder;
pub mod tensors;
mod training_state;
mod vocabulary;

use std::io::ErrorKind;
use std::path::Path;

use anyhow::bail;
use glm_model::adapter;
use glm_model::weights::WeightFolder;

use crate::config::PathSettings;
use report::Report;

/// Prints what the path holds.
///
/// # Errors
/// When something in it is broken, after everything that could be said was printed.
pub fn run(settings: PathSettings) -> anyhow::Result<()> {
    let path = settings.path.as_path();
    let mut report = Report::default();
    match inspect(path, &mut report).and_then(|()| report.print_problems()) {
        // Whoever closed the pipe has seen enough.
        Err(error) if is_closed_pipe(&error) => return Ok(()),
        result => result?,
    }
    match report.problems() {
        0 => Ok(()),
        1 => bail!("{}: one problem was found, see above", path.display()),
        n => bail!("{}: {n} problems were found, see above", path.display()),
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
}

fn inspect(path: &Path, report: &mut Report) -> anyhow::Result<()> {
    report.title(&path.display().to_string())?;
    if path.is_file() {
        return file(path, report);
    }
    let is_run = run_folder::is_one(path);
    if is_run {
        run_folder::show(path, report)?;
    }
    if holds_weights(path) {
        weights(path, report)
    } else if path.join("config.json").is_file() || vocabulary::is_in(path) {
        base::show(path, None, report)
    } else if is_run {
        Ok(())
    } else if path.is_dir() {
        bail!(
            "{}: it holds no config.json, no weights, no {} and no checkpoints, so it is no base, checkpoint or run",
            path.display(),
            vocabulary::FILE
        )
    } else if path.exists() {
        bail!("{}: it is neither a regular file nor a folder", path.display())
    } else {
        bail!("{}: no such file or folder", path.display())
    }
}

fn file(path: &Path, report: &mut Report) -> anyhow::Result<()> {
    if path.extension().is_some_and(|ending| ending == "model") {
        return vocabulary::show(path, report);
    }
    if gguf::is_one(path) {
        return gguf::show(path, report);
    }
    let weights = WeightFolder::open(path)?;
    // Before the prefix, whose names stand in its state, too.
    if training_state::is_one(&weights) {
        training_state::show(path, &weights, report)
    } else if adapter::holds_only_prefix(&weights) {
        prefix::show(path, &weights, report)
    } else if lora::is_one(&weights) {
        lora::show(path, path, report)
    } else {
        tensors::show(path, &weights, report)
    }
}

fn weights(path: &Path, report: &mut Report) -> anyhow::Result<()> {
    if let Some(file) = lora::file_of(path) {
        return lora::show(path, &file, report);
    }
    let twin = path.join(adapter::SAFETENSORS_FILE);
    let main = WeightFolder::open(path);
    match main {
        Ok(weights) if !adapter::holds_only_prefix(&weights) => base::show(path, Some(&weights), report),
        Ok(weights) => prefix::show(path, &weights, report),
        // A prefix may lie there in its second form only.
        Err(_) if twin.is_file() && !path.join(adapter::TORCH_FILE).exists() => {
            prefix::show(path, &WeightFolder::open(&twin)?, report)
        }
        Err(error) => {
            report.problem(error);
            base::show(path, None, report)
        }
    }
}

/// Whether any file looks like weights, whole or not.
fn holds_weights(path: &Path) -> bool {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| {
        let name = name.to_string_lossy();
        let stem = ["pytorch_model", "model", "adapter"].iter().any(|stem| name.starts_with(stem));
        stem && [".bin", ".safetensors", ".index.json"].iter().any(|ending| name.ends_with(ending))
    })
}
