//! What the commands of other projects mean, beyond the names of their keys.

use crate::args::sources::{Given, Source};
use crate::args::types::{Bits, Method, Resume, ResumeFlag};
use crate::args::usage::{Remark, UsageError, refuse};
use crate::args::verbs::TrainKeys;
use glm_train::{Checkpointing, trainer};

/// Most tokens of an answer by default in chatglm_tuning.
const CHATGLM_TUNING_LENGTH: usize = 1024;

/// Base of chatglm_tuning when none is named.
const CHATGLM_TUNING_BASE: &str = "THUDM/chatglm-6b";

/// The keys with what the scripts of other projects imply filled in.
///
/// # Errors
/// When a key of theirs contradicts one of ours.
pub fn implied(
    given: &Given<TrainKeys>,
    evaluate: bool,
    remarks: &mut Vec<Remark>,
) -> Result<Given<TrainKeys>, UsageError> {
    let mut given = given.clone();
    let theirs = given.keys.chatglm_tuning.clone();
    if theirs.int8 {
        if given.keys.model.quantization_bit == Some(Bits::Four) {
            refuse!("{} and {} 4 contradict each other", given.place("int8"), given.place("quantization_bit"));
        }
        given.keys.model.quantization_bit = Some(Bits::Eight);
    }
    if theirs.no_gradient_checkpointing {
        if given.has("gradient_checkpointing") && given.keys.training.gradient_checkpointing != Checkpointing::Never {
            let (one, other) = (given.place("no_gradient_checkpointing"), given.place("gradient_checkpointing"));
            refuse!("{one} and {other} contradict each other");
        }
        given.keys.training.gradient_checkpointing = Checkpointing::Never;
    }
    if is_chatglm_tuning(&given) {
        let task = &mut given.keys.task;
        task.do_train |= !(evaluate || task.do_eval || task.do_predict);
        if !given.has("max_target_length") {
            given.keys.data.max_target_length = CHATGLM_TUNING_LENGTH;
        }
        given.keys.model.model_name_or_path.get_or_insert_with(|| CHATGLM_TUNING_BASE.into());
        resume_weights(&mut given, remarks)?;
    }
    say_what_launchers_do(&given, remarks);
    Ok(given)
}

/// In `train_lora.py` resuming means to begin with the weights of an adapter; a checkpoint of ours is gone on with.
fn resume_weights(given: &mut Given<TrainKeys>, remarks: &mut Vec<Remark>) -> Result<(), UsageError> {
    let Some(Resume::Path(folder)) = given.keys.task.resume_from_checkpoint.0.clone() else { return Ok(()) };
    if folder.join(trainer::STATE_FILE).is_file() || !folder.is_dir() {
        return Ok(());
    }
    let (place, shown) = (given.place("resume_from_checkpoint"), folder.display().to_string());
    remarks.push(Remark::Note(format!(
        "{place} {shown} holds no state of a training: its adapter is begun with, and the steps count from 0, as in train_lora.py"
    )));
    given.keys.task.resume_from_checkpoint = ResumeFlag(None);
    given.set("init_from", &shown, Source::Flag)
}

/// Whether the command is one of chatglm_tuning's: both its scripts demand these two.
pub fn is_chatglm_tuning(given: &Given<TrainKeys>) -> bool {
    given.has("data_path") || given.has("train_args_file")
}

/// What trains when nothing says it: all weights, as in the official script; LoRA in chatglm_tuning, whose
/// `train_lora.py` needs no flag for it, and whose full fine-tuning goes by DeepSpeed.
pub fn method_without_keys(given: &Given<TrainKeys>, remarks: &mut Vec<Remark>) -> Method {
    if is_chatglm_tuning(given) && given.keys.legacy.deepspeed.is_none() {
        remarks.push(Remark::Note(
            "LoRA is trained, as by train_lora.py: --pre_seq_len trains a prefix instead, --method full all weights"
                .into(),
        ));
        return Method::Lora;
    }
    Method::Full
}

/// Several processes would see a larger batch; one process has to say so.
fn say_what_launchers_do(given: &Given<TrainKeys>, remarks: &mut Vec<Remark>) {
    if given.keys.legacy.deepspeed.as_deref().is_some_and(|file| !file.is_empty()) {
        remarks.push(Remark::Note(format!(
            "{}: DeepSpeed spreads weights, gradients and moments over several cards. Here one process trains, and memory is \
             saved otherwise: a base that does not train is held in INT4, INT8 or 16 bits and has neither gradients nor \
             moments, activations are recomputed (--gradient_checkpointing), and batches hold no padding. Batch, rate and \
             schedule come from the flags; the DeepSpeed file is not read",
            given.place("deepspeed")
        )));
    }
    let launcher = &given.keys.launcher;
    let count = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<usize>().ok()).unwrap_or(1).max(1);
    let named = ["nproc_per_node", "num_gpus", "nnodes", "num_nodes"].into_iter().filter(|key| given.has(key));
    let places: Vec<String> = named.map(|key| given.place(key)).collect();
    if places.is_empty() {
        return;
    }
    let machines = count(&launcher.nnodes).max(count(&launcher.num_nodes));
    let processes = machines.saturating_mul(count(&launcher.nproc_per_node).max(count(&launcher.num_gpus)));
    let batch = match processes {
        1 => String::new(),
        n => format!(
            ". {n} processes would take {n} times as many rows a step: --gradient_accumulation_steps {} does the same",
            n.saturating_mul(given.keys.training.gradient_accumulation_steps)
        ),
    };
    remarks.push(Remark::Note(format!("{}: one process trains, and no launcher is needed{batch}", places.join(", "))));
}
