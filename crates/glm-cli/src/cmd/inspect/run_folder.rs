//! The folder of a run, or one of its checkpoints: how far training came.

use std::path::Path;

use glm_train::journal::TrainerState;
use glm_train::run_dir::{self, TRAINER_STATE};

use super::report::Report;

/// Files that tell what came of a run, in the order in which they are named.
const RESULTS: [&str; 5] = [
    "train_results.json",
    "eval_results.json",
    "predict_results.json",
    "all_results.json",
    "generated_predictions.txt",
];

/// Whether training has left something there.
pub fn is_one(path: &Path) -> bool {
    path.join(TRAINER_STATE).is_file()
        || RESULTS.iter().any(|file| path.join(file).is_file())
        || checkpoint_names(path).next().is_some()
}

/// Progress, checkpoints and results.
pub fn show(path: &Path, report: &mut Report) -> anyhow::Result<()> {
    let mut facts = Vec::new();
    let state = path.join(TRAINER_STATE);
    if state.is_file() {
        match TrainerState::load(&state) {
            Ok(state) => facts.extend(progress(&state)),
            Err(error) => report.problem(error),
        }
    }
    let complete = run_dir::complete_checkpoints(path, &[])?;
    let mut unfinished: Vec<u64> =
        checkpoint_names(path).filter(|step| complete.iter().all(|c| c.step != *step)).collect();
    unfinished.sort_unstable();
    for step in unfinished {
        report.problem(format!(
            "checkpoint-{step} is not complete: its {TRAINER_STATE} is missing, broken or of another step"
        ));
    }
    if !complete.is_empty() {
        let names: Vec<String> = complete.iter().map(|c| format!("checkpoint-{}", c.step)).collect();
        facts.push(("checkpoints", names.join(", ")));
    }
    let results: Vec<&str> = RESULTS.into_iter().filter(|file| path.join(file).is_file()).collect();
    if !results.is_empty() {
        facts.push(("results", results.join(", ")));
    }
    report.section("Training run", &facts)
}

fn progress(state: &TrainerState) -> Vec<(&'static str, String)> {
    let epoch = state.epoch.map_or(String::new(), |epoch| format!(", epoch {epoch:.2} of {}", state.num_train_epochs));
    let mut facts = vec![("progress", format!("step {} of {}{epoch}", state.global_step, state.max_steps))];
    let last = |key: &str| {
        let entry = state.log_history.iter().rev().find(|entry| entry.get(key).is_some())?;
        Some(format!("{} at step {}", entry.get(key)?, entry.get("step")?))
    };
    facts.extend(last("loss").map(|loss| ("last loss", loss)));
    facts.extend(last("eval_loss").map(|loss| ("last eval loss", loss)));
    facts
}

fn checkpoint_names(path: &Path) -> impl Iterator<Item = u64> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir());
    entries.filter_map(|entry| run_dir::parse_checkpoint_name(entry.file_name().to_str()?))
}
