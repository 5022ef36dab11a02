//! The parts of the settings that several verbs check alike, and where a run reports to.

use std::path::{Path, PathBuf};

use glm_infer::GenerationConfig;
use glm_infer::decode::RepetitionRule;

use crate::args::keys::KeySet;
use crate::args::sources::Given;
use crate::args::training::DecodingArgs;
use crate::args::types::Resume;
use crate::args::usage::{Remark, UsageError, refuse};
use crate::args::verbs::TrainKeys;

/// Folder of the TensorBoard files when `--report_to` asks for them.
pub fn tensorboard(given: &Given<TrainKeys>, output_dir: &Path, remarks: &mut Vec<Remark>) -> Option<PathBuf> {
    let task = &given.keys.task;
    let mut wanted = false;
    for name in task.report_to.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name.to_ascii_lowercase().as_str() {
            "none" => {}
            "tensorboard" | "all" => wanted = true,
            _ => remarks.push(Remark::Note(format!(
                "{}: nothing is reported to {name}, for nothing is sent over the network; tensorboard writes files",
                given.place("report_to")
            ))),
        }
    }
    if !wanted && task.logging_dir.is_some() {
        let place = given.place("logging_dir");
        remarks.push(Remark::Note(format!("{place} has no effect without --report_to tensorboard")));
    }
    wanted.then(|| task.logging_dir.clone().unwrap_or_else(|| output_dir.join("runs")))
}

/// What to go on from.
pub fn resume(given: &Given<TrainKeys>, do_train: bool, remarks: &mut Vec<Remark>) -> Option<Resume> {
    let task = &given.keys.task;
    let resume = task.resume_from_checkpoint.0.clone()?;
    let place = given.place("resume_from_checkpoint");
    if !do_train {
        remarks.push(Remark::Note(format!("{place} has no effect without --do_train")));
        return None;
    }
    if task.overwrite_output_dir {
        remarks.push(Remark::Note(format!("--overwrite_output_dir has no effect beside {place}: the run goes on")));
    }
    Some(resume)
}

/// Number of threads.
///
/// # Errors
/// When it is 0.
pub fn threads<K: KeySet>(given: &Given<K>, threads: Option<usize>) -> Result<Option<usize>, UsageError> {
    if threads == Some(0) {
        refuse!("{}: expected 1 or more, found 0; leave it out for one a core", given.place("threads"));
    }
    if let Some(count @ 1025..) = threads {
        refuse!("{}: expected at most 1024, found {count}", given.place("threads"));
    }
    Ok(threads)
}

/// The decoding keys that every verb has alike.
pub fn decoding(keys: &DecodingArgs, config: GenerationConfig) -> GenerationConfig {
    GenerationConfig {
        length_penalty: keys.length_penalty,
        early_stopping: keys.early_stopping,
        stop: keys.stop.0.clone(),
        repetition: keys.repetition_detector.then(RepetitionRule::default),
        ..config
    }
}

/// Remarks on decoding keys that the others leave without effect.
pub fn remark_on_decoding<K: KeySet>(given: &Given<K>, config: &GenerationConfig, remarks: &mut Vec<Remark>) {
    let mut without_effect = |names: &[&str], unless: &str| {
        for name in names.iter().filter(|name| given.has(name)) {
            remarks.push(Remark::Note(format!("{} has no effect {unless}", given.place(name))));
        }
    };
    if config.num_beams == 1 {
        without_effect(&["length_penalty", "early_stopping"], "without --num_beams 2 or more");
    }
    if !config.do_sample {
        without_effect(&["temperature", "top_p", "top_k"], "with --do_sample false: nothing is drawn");
    }
}

/// Most beams: each holds keys and values of its own.
const MOST_BEAMS: usize = 256;

/// Refuses decoding settings that have no meaning.
///
/// # Errors
/// Names the key, what was expected and what was found.
pub fn check_generation<K: KeySet>(given: &Given<K>, config: &GenerationConfig) -> Result<(), UsageError> {
    let check = |name: &str, found: f32, fits: bool, expected: &str| match fits {
        true => Ok(()),
        false => refuse!("{}: expected {expected}, found {found}", given.place(name)),
    };
    let positive = "more than 0 (--do_sample false takes the best token always)";
    check("temperature", config.temperature, config.temperature > 0.0, positive)?;
    check("top_p", config.top_p, config.top_p > 0.0 && config.top_p <= 1.0, "more than 0 and at most 1")?;
    check("repetition_penalty", config.repetition_penalty, config.repetition_penalty > 0.0, "more than 0")?;
    if !(1..=MOST_BEAMS).contains(&config.num_beams) {
        refuse!("{}: expected 1 to {MOST_BEAMS}, found {}", given.place("num_beams"), config.num_beams);
    }
    if config.max_new_tokens == Some(0) {
        refuse!("{}: expected 1 or more, found 0", given.place("max_new_tokens"));
    }
    if config.max_length == 0 {
        refuse!("{}: expected 1 or more, found 0", given.place("max_length"));
    }
    Ok(())
}
