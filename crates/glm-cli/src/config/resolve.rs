//! From keys to a checked [`RunConfig`]: contradictions are errors, surprises are remarks.

use glm_data::DataConfig;
use glm_infer::GenerationConfig;
use glm_train::{IntervalStrategy, TrainConfig};

use super::adapter::AdapterConfig;
use super::advice::{self, Trains};
use super::base::BaseConfig;
use super::run::{Files, RunConfig, SampleLimits};
use super::{method, outputs, peers};
use crate::args::data::{DataArgs, OurDataArgs};
use crate::args::keys::KeySet;
use crate::args::sources::Given;
use crate::args::usage::{Remark, UsageError, refuse};
use crate::args::verbs::TrainKeys;

/// Resolves the keys of `train`, or of `evaluate`, which only predicts.
///
/// # Errors
/// Names the key that is missing, out of range, not built yet or in contradiction with another.
pub fn resolve(given: &Given<TrainKeys>, evaluate: bool) -> Result<(RunConfig, Vec<Remark>), UsageError> {
    let mut remarks = Vec::new();
    given.check_status(&mut remarks)?;
    let given = &peers::implied(given, evaluate, &mut remarks)?;
    refuse_unbuilt(given)?;
    let keys = &given.keys;
    let task = &keys.task;

    if evaluate && task.do_train {
        refuse!("{} does not go with the verb evaluate: use glmtune train", given.place("do_train"));
    }
    let do_train = task.do_train && !trains_nothing(given, &mut remarks);
    let do_predict = task.do_predict || evaluate;
    let do_eval = task.do_eval || (do_train && keys.training.evaluation_strategy != IntervalStrategy::No);
    if !(do_train || do_eval || do_predict) {
        if task.do_train {
            let place = given.place("num_train_epochs");
            refuse!("{place} 0 trains nothing, and neither --do_eval nor --do_predict is given: nothing is left to do");
        }
        refuse!("nothing to do: give --do_train, --do_eval or --do_predict, or more than one of them");
    }

    let Some(output_dir) = task.output_dir.clone() else {
        refuse!("--output_dir is missing: give a folder for checkpoints and results");
    };
    let adapter = method::resolve(given, do_train, &mut remarks)?;
    let train = training(given)?;
    remark_on_training(given, adapter.as_ref().filter(|_| do_train), &mut remarks);
    if do_predict && !keys.predict.predict_with_generate && !evaluate {
        remarks.push(Remark::Note("--do_predict always generates answers: --predict_with_generate is implied".into()));
    }

    let (base, generation) = (BaseConfig::new(given, &keys.model, &keys.base)?, generation(given)?);
    base.remark(given, &mut remarks);
    outputs::remark_on_decoding(given, &generation, &mut remarks);

    let config = RunConfig {
        version: env!("CARGO_PKG_VERSION").into(),
        do_train,
        do_eval,
        do_predict,
        predict_with_generate: keys.predict.predict_with_generate || evaluate,
        base,
        adapter,
        files: files(given, do_train, do_eval, do_predict)?,
        samples: SampleLimits {
            train: keys.data.max_train_samples,
            eval: keys.data.max_eval_samples,
            predict: keys.data.max_predict_samples,
        },
        data: data(given, &keys.data, &keys.our_data)?,
        val_max_target_length: keys.data.val_max_target_length.unwrap_or(keys.data.max_target_length),
        train,
        generation,
        tensorboard: outputs::tensorboard(given, &output_dir, &mut remarks),
        resume: outputs::resume(given, do_train, &mut remarks),
        output_dir,
        save_into_output_dir: peers::is_chatglm_tuning(given),
        overwrite_output_dir: task.overwrite_output_dir,
        progress: !task.disable_tqdm,
        threads: outputs::threads(given, keys.base.threads)?,
    };
    Ok((config, remarks))
}

fn refuse_unbuilt(given: &Given<TrainKeys>) -> Result<(), UsageError> {
    let keys = &given.keys;
    if !(-1..=0).contains(&keys.legacy.local_rank) {
        refuse!(
            "{} {}: one process trains, and training with several is not built yet; start glmtune once, without a launcher",
            given.place("local_rank"),
            keys.legacy.local_rank
        );
    }
    Ok(())
}

fn files(given: &Given<TrainKeys>, train: bool, eval: bool, predict: bool) -> Result<Files, UsageError> {
    let data = &given.keys.data;
    let needed = |needed: bool, name: &str, file: &Option<std::path::PathBuf>, why: &str| match file {
        None if needed => refuse!("{why} needs --{name}: a json, jsonl or csv file of rows"),
        file => Ok(file.clone()),
    };
    Ok(Files {
        train: needed(train, "train_file", &data.train_file, "--do_train")?,
        validation: needed(
            eval,
            "validation_file",
            &data.validation_file,
            if given.keys.task.do_eval { "--do_eval" } else { "--evaluation_strategy" },
        )?,
        test: needed(predict, "test_file", &data.test_file, "--do_predict")?,
    })
}

/// How rows become samples.
///
/// # Errors
/// When a length is too short or a name is empty.
pub(super) fn data<K: KeySet>(given: &Given<K>, keys: &DataArgs, own: &OurDataArgs) -> Result<DataConfig, UsageError> {
    // Two special tokens stand in every prompt, so a shorter one could not hold a question.
    at_least(given, "max_source_length", keys.max_source_length, 3)?;
    at_least(given, "max_target_length", keys.max_target_length, 1)?;
    if let Some(length) = keys.val_max_target_length {
        at_least(given, "val_max_target_length", length, 1)?;
    }
    for (name, value) in [("prompt_column", &keys.prompt_column), ("response_column", &keys.response_column)] {
        if value.as_ref().is_some_and(String::is_empty) {
            refuse!("{}: expected the name of a column, found an empty text", given.place(name));
        }
    }
    Ok(DataConfig {
        prompt_column: keys.prompt_column.clone(),
        response_column: keys.response_column.clone(),
        history_column: keys.history_column.clone().filter(|name| !name.is_empty()),
        max_source_length: keys.max_source_length,
        max_target_length: keys.max_target_length,
        ignore_pad_token_for_loss: keys.ignore_pad_token_for_loss,
        source_prefix: keys.source_prefix.clone(),
        compat: own.compat,
        lenient: own.lenient,
        format: own.data_format,
        train_on: own.train_on,
        on_overflow: own.on_overflow,
        alpaca_join: own.alpaca_join,
    })
}

fn training(given: &Given<TrainKeys>) -> Result<TrainConfig, UsageError> {
    let keys = &given.keys.training;
    for (name, value) in [
        ("per_device_train_batch_size", keys.per_device_train_batch_size),
        ("per_device_eval_batch_size", keys.per_device_eval_batch_size),
        ("gradient_accumulation_steps", keys.gradient_accumulation_steps),
        ("logging_steps", keys.logging_steps),
        ("save_steps", keys.save_steps),
        ("eval_steps", keys.eval_steps.unwrap_or(1)),
    ] {
        at_least(given, name, value, 1)?;
    }
    for (name, value) in [
        ("learning_rate", keys.learning_rate),
        ("weight_decay", keys.weight_decay),
        ("max_grad_norm", keys.max_grad_norm),
        ("adam_epsilon", keys.adam_epsilon),
    ] {
        in_range(given, name, value, value >= 0.0, "0 or more")?;
    }
    for (name, value) in [
        ("adam_beta1", keys.adam_beta1),
        ("adam_beta2", keys.adam_beta2),
        ("prefix_dropout", f64::from(given.keys.our_training.prefix_dropout)),
    ] {
        in_range(given, name, value, (0.0..1.0).contains(&value), "0 or more and below 1")?;
    }
    in_range(given, "warmup_ratio", keys.warmup_ratio, (0.0..=1.0).contains(&keys.warmup_ratio), "0 to 1")?;
    in_range(given, "num_train_epochs", keys.num_train_epochs, keys.num_train_epochs >= 0.0, "0 or more")?;
    Ok(TrainConfig {
        per_device_train_batch_size: keys.per_device_train_batch_size,
        per_device_eval_batch_size: keys.per_device_eval_batch_size,
        gradient_accumulation_steps: keys.gradient_accumulation_steps,
        learning_rate: keys.learning_rate,
        // As transformers has it: 0 and below mean "not given".
        max_steps: usize::try_from(keys.max_steps).ok().filter(|steps| *steps > 0),
        num_train_epochs: keys.num_train_epochs,
        lr_scheduler_type: keys.lr_scheduler_type,
        warmup_steps: keys.warmup_steps,
        warmup_ratio: keys.warmup_ratio,
        optim: keys.optim,
        weight_decay: keys.weight_decay,
        adam_beta1: keys.adam_beta1,
        adam_beta2: keys.adam_beta2,
        adam_epsilon: keys.adam_epsilon,
        max_grad_norm: keys.max_grad_norm,
        logging_steps: keys.logging_steps,
        logging_first_step: keys.logging_first_step,
        save_strategy: keys.save_strategy,
        save_steps: keys.save_steps,
        save_total_limit: keys.save_total_limit,
        evaluation_strategy: keys.evaluation_strategy,
        eval_steps: keys.eval_steps,
        seed: keys.seed,
        data_seed: keys.data_seed,
        checkpointing: keys.gradient_checkpointing,
        activation_budget: given.keys.our_training.activation_budget.map(|bytes| bytes.0),
        max_tokens_per_pass: given.keys.our_training.max_tokens_per_pass,
    })
}

/// Whether the length that is asked for is none; transformers takes that and goes on with what else there is to do.
fn trains_nothing(given: &Given<TrainKeys>, remarks: &mut Vec<Remark>) -> bool {
    let keys = &given.keys.training;
    let nothing = keys.max_steps <= 0 && keys.num_train_epochs == 0.0;
    if nothing && given.keys.task.do_train {
        let place = given.place("num_train_epochs");
        remarks.push(Remark::Warning(format!("{place} 0: nothing is trained, and no checkpoint is written")));
    }
    nothing
}

/// Remarks on numbers that transformers reads otherwise than one might think.
fn remark_on_numbers(given: &Given<TrainKeys>, remarks: &mut Vec<Remark>) {
    let keys = &given.keys.training;
    if given.has("max_steps") && keys.max_steps <= 0 && keys.max_steps != -1 {
        let (place, epochs) = (given.place("max_steps"), keys.num_train_epochs);
        remarks.push(Remark::Note(format!(
            "{place} {} is no limit, as in transformers: --num_train_epochs {epochs} decides; leave --do_train out to train \
             nothing",
            keys.max_steps
        )));
    }
    if keys.save_total_limit == Some(0) {
        let place = given.place("save_total_limit");
        remarks.push(Remark::Note(format!("{place} 0 is no limit, as in transformers: all checkpoints are kept")));
    }
}

/// Remarks on a run that trains `adapter`.
fn remark_on_training(given: &Given<TrainKeys>, adapter: Option<&AdapterConfig>, remarks: &mut Vec<Remark>) {
    let keys = &given.keys.training;
    let Some(adapter) = adapter else { return };
    remark_on_numbers(given, remarks);
    if keys.save_strategy == IntervalStrategy::Steps && keys.max_steps > 0 && keys.save_steps as i64 > keys.max_steps {
        remarks.push(Remark::Warning(format!(
            "save_steps {} is more than max_steps {}: only the final checkpoint will be saved",
            keys.save_steps, keys.max_steps
        )));
    }
    let trains = match adapter {
        AdapterConfig::Ptuning { .. } => Some(Trains::Prefix),
        AdapterConfig::Lora { .. } => Some(Trains::Lora),
        AdapterConfig::Full | AdapterConfig::Freeze { .. } => Some(Trains::Weights),
        // Said when the file is open.
        AdapterConfig::FromFile { .. } => None,
    };
    let advice = trains.and_then(|trains| advice::learning_rate(trains, keys.learning_rate));
    remarks.extend(advice.map(Remark::Warning));
    if given.has("eval_steps") && keys.evaluation_strategy != IntervalStrategy::Steps {
        let place = given.place("eval_steps");
        remarks.push(Remark::Note(format!("{place} has no effect without --evaluation_strategy steps")));
    }
    if given.has("activation_budget") && keys.gradient_checkpointing != glm_train::Checkpointing::Auto {
        let place = given.place("activation_budget");
        remarks.push(Remark::Note(format!("{place} has no effect without --gradient_checkpointing auto")));
    }
}

fn generation(given: &Given<TrainKeys>) -> Result<GenerationConfig, UsageError> {
    let (keys, data) = (&given.keys.predict, &given.keys.data);
    let config = GenerationConfig {
        do_sample: keys.do_sample,
        temperature: keys.temperature,
        top_k: keys.top_k,
        top_p: keys.top_p,
        repetition_penalty: keys.repetition_penalty,
        max_length: data.max_source_length.saturating_add(data.max_target_length).saturating_add(1),
        max_new_tokens: keys.max_new_tokens,
        seed: given.keys.training.seed,
        num_beams: data.num_beams.or(keys.generation_num_beams).unwrap_or(1),
        ..GenerationConfig::default()
    };
    let config = outputs::decoding(&given.keys.decoding, config);
    outputs::check_generation(given, &config)?;
    Ok(config)
}

fn at_least<K: KeySet>(given: &Given<K>, name: &str, found: usize, least: usize) -> Result<(), UsageError> {
    if found < least {
        refuse!("{}: expected {least} or more, found {found}", given.place(name));
    }
    Ok(())
}

fn in_range(given: &Given<TrainKeys>, name: &str, found: f64, fits: bool, expected: &str) -> Result<(), UsageError> {
    if !fits {
        refuse!("{}: expected {expected}, found {found}", given.place(name));
    }
    Ok(())
}
