//! Commands of other projects, with only the name of the program changed.

#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod args_support;

use std::fs;
use std::path::Path;

use args_support::{dry_run, dry_run_in, note_lines, refused, refused_in};
use serde_json::json;

/// The training arguments that chatglm_tuning ships for P-Tuning, by their values.
const PTUNING_JSON: &str = r#"{"output_dir": "output/adgen-chatglm-6b-ptuning", "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 4, "learning_rate": 2e-2, "num_train_epochs": 1.0, "max_steps": 3000,
    "lr_scheduler_type": "cosine", "logging_steps": 5, "save_strategy": "no", "optim": "adamw_torch", "fp16": false,
    "remove_unused_columns": false, "ddp_find_unused_parameters": false, "report_to": "tensorboard"}"#;

/// Those for LoRA.
const LORA_JSON: &str = r#"{"output_dir": "output/adgen-chatglm-6b-lora", "per_device_train_batch_size": 3,
    "gradient_accumulation_steps": 4, "learning_rate": 1e-3, "max_steps": 3000, "num_train_epochs": 1.0,
    "lr_scheduler_type": "cosine", "warmup_ratio": 0.03, "logging_steps": 5, "save_strategy": "no",
    "optim": "adamw_torch", "fp16": false, "remove_unused_columns": false, "ddp_find_unused_parameters": false,
    "report_to": "tensorboard"}"#;

fn room() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("chatglm_6b_ptuning.json"), PTUNING_JSON).unwrap();
    fs::write(folder.path().join("chatglm_6b_lora.json"), LORA_JSON).unwrap();
    folder
}

fn run(folder: &Path, words: &str) -> (serde_json::Value, String) {
    dry_run_in(folder, "train", words)
}

#[test]
fn train_ptuning_py_resolves_as_typed() {
    let folder = room();
    let (config, stderr) = run(
        folder.path(),
        "--train_args_file chatglm_6b_ptuning.json --model_name_or_path /path/to/chatglm-6b \
         --data_path data/AdvertiseGen/train.jsonl --pre_seq_len 128 --quantization_bit 4",
    );
    assert_eq!((&config["do_train"], &config["save_into_output_dir"]), (&json!(true), &json!(true)));
    assert_eq!(config["files"]["train"], "data/AdvertiseGen/train.jsonl");
    assert_eq!((&config["adapter"]["method"], &config["adapter"]["pre_seq_len"]), (&json!("ptuning"), &json!(128)));
    assert_eq!(config["base"]["quantization"], json!({"scheme": "int4"}));
    let train = &config["train"];
    for (name, value) in [
        ("per_device_train_batch_size", json!(4)),
        ("gradient_accumulation_steps", json!(4)),
        ("learning_rate", json!(0.02)),
        ("max_steps", json!(3000)),
        ("lr_scheduler_type", json!("cosine")),
        ("optim", json!("adamw_torch")),
        ("save_strategy", json!("no")),
        ("logging_steps", json!(5)),
        ("seed", json!(42)),
    ] {
        assert_eq!(train[name], value, "{name}");
    }
    let lengths = (&config["data"]["max_source_length"], &config["data"]["max_target_length"]);
    assert_eq!(lengths, (&json!(1024), &json!(1024)));
    assert_eq!(config["tensorboard"], "output/adgen-chatglm-6b-ptuning/runs");
    assert!(!stderr.contains("warning"), "{stderr}");
    assert_eq!(note_lines(&stderr, "fp16"), 0, "what is off anyway needs no note: {stderr}");
}

#[test]
fn train_lora_py_resolves_as_typed() {
    let folder = room();
    let words = "--train_args_file chatglm_6b_lora.json --model_name_or_path /path/to/chatglm-6b/ \
        --data_path data/AdvertiseGen/train.jsonl --max_input_length 128 --max_output_length 256";
    let (config, stderr) = run(folder.path(), words);
    let adapter = &config["adapter"];
    assert_eq!((&adapter["method"], &adapter["rank"], &adapter["alpha"]), (&json!("lora"), &json!(8), &json!(32.0)));
    let lengths = (&config["data"]["max_source_length"], &config["data"]["max_target_length"]);
    assert_eq!(lengths, (&json!(128), &json!(256)));
    assert_eq!(config["train"]["warmup_ratio"], 0.03);
    assert!(stderr.contains("LoRA is trained, as by train_lora.py"), "{stderr}");

    let more = "--lora_rank 4 --lora_alpha 16 --lora_dropout 0.1 --int8 --model_parallel --no_gradient_checkpointing \
        --seed 7 --resume_from_checkpoint output/old --eval_path dev.jsonl";
    let (config, stderr) = run(folder.path(), &format!("{words} {more}"));
    assert_eq!((&config["adapter"]["rank"], &config["train"]["seed"]), (&json!(4), &json!(7)));
    assert_eq!(config["base"]["quantization"], json!({"scheme": "int8"}));
    assert_eq!(config["train"]["checkpointing"], "never");
    assert_eq!(config["resume"], json!({"path": "output/old"}));
    assert_eq!(config["files"]["validation"], "dev.jsonl");
    assert_eq!(note_lines(&stderr, "--model_parallel"), 1, "{stderr}");
    refused_in(
        folder.path(),
        &format!("train {words} --int8 --quantization_bit 4"),
        &["--int8 and --quantization_bit 4"],
    );
}

#[test]
fn full_fine_tuning_by_deepspeed_is_answered() {
    let folder = room();
    let json = LORA_JSON.replace("1e-3", "2e-5").replacen('{', "{\"deepspeed\": \"ds_config.json\", ", 1);
    fs::write(folder.path().join("chatglm_6b_deepspeed.json"), json).unwrap();
    let words = "--train_args_file chatglm_6b_deepspeed.json --model_name_or_path base --data_path rows.jsonl";
    let (config, stderr) = run(folder.path(), words);
    assert_eq!(config["adapter"], json!({"method": "full"}));
    assert!(stderr.contains("deepspeed in chatglm_6b_deepspeed.json: DeepSpeed spreads"), "{stderr}");
}

#[test]
fn unknown_training_arguments_name_the_nearest() {
    let folder = room();
    fs::write(folder.path().join("args.json"), r#"{"output_dir": "out", "lr_schedule_type": "cosine"}"#).unwrap();
    let words = "train --train_args_file args.json --model_name_or_path base --data_path rows.jsonl";
    refused_in(folder.path(), words, &["lr_schedule_type in args.json", "did you mean lr_scheduler_type?"]);
    let words = "train --train_args_file none.json --model_name_or_path base --data_path rows.jsonl";
    refused_in(folder.path(), words, &["none.json: cannot read this configuration file"]);
    refused_in(
        folder.path(),
        "train train_lora.py --data_path a",
        &["train_lora.py: leave the name of the script out"],
    );
}

/// `ptuning/ds_train_finetune.sh`, from its launcher's flags on, without the name of the script.
const DS_TRAIN_SH: &str = "--num_gpus=4 --master_port 8888 --deepspeed deepspeed.json --do_train \
    --train_file AdvertiseGen/train.json --test_file AdvertiseGen/dev.json --prompt_column content \
    --response_column summary --overwrite_cache --model_name_or_path THUDM/chatglm2-6b \
    --output_dir ./output/adgen-chatglm2-6b-ft-1e-4 --overwrite_output_dir --max_source_length 64 \
    --max_target_length 64 --per_device_train_batch_size 4 --per_device_eval_batch_size 1 \
    --gradient_accumulation_steps 1 --predict_with_generate --max_steps 5000 --logging_steps 10 --save_steps 1000 \
    --learning_rate 1e-4 --fp16";

#[test]
fn ds_train_finetune_sh_resolves_as_typed() {
    let (config, stderr) = dry_run("train", DS_TRAIN_SH);
    assert_eq!(config["adapter"], json!({"method": "full"}));
    assert_eq!((&config["train"]["max_steps"], &config["train"]["learning_rate"]), (&json!(5000), &json!(1e-4)));
    assert!(stderr.contains("DeepSpeed spreads") && stderr.contains("the DeepSpeed file is not read"), "{stderr}");
    assert!(stderr.contains("--num_gpus") && stderr.contains("--gradient_accumulation_steps 4"), "{stderr}");
    assert!(!stderr.contains("warning"), "{stderr}");
}

#[test]
fn launchers_are_answered() {
    let least = "--do_train --model_name_or_path base --train_file rows.json --output_dir out --pre_seq_len 8";
    let torchrun = "--standalone --nnodes=2 --nproc-per-node=3 --gradient_accumulation_steps 5";
    let (_, stderr) = dry_run("train", &format!("{torchrun} {least}"));
    assert!(stderr.contains("6 processes") && stderr.contains("--gradient_accumulation_steps 30"), "{stderr}");
    let (_, stderr) = dry_run("train", &format!("--standalone --nnodes=1 --nproc-per-node=1 {least}"));
    assert!(!stderr.contains("processes would"), "{stderr}");
    refused(&format!("train {least} --local_rank 1"), &["--local_rank 1: one process trains"]);
}

#[test]
fn efficient_tuning_flags_that_mean_the_same() {
    let words = "--stage sft --do_train --train_file rows.json --model_name_or_path base --finetuning_type lora \
        --lora_rank 8 --lora_target query_key_value --output_dir out --per_device_train_batch_size 4 --max_samples 100 \
        --learning_rate 5e-5 --plot_loss --checkpoint_dir old --eval_num_beams 1 --fp16";
    let (config, stderr) = dry_run("train", words);
    assert_eq!((&config["adapter"]["method"], &config["adapter"]["init_from"]), (&json!("lora"), &json!("old")));
    assert_eq!(config["samples"]["train"], 100);
    assert_eq!(note_lines(&stderr, "--plot_loss"), 0, "{stderr}");
    for (flags, part) in [
        ("--stage rm", "--stage: only supervised fine-tuning"),
        ("--dataset alpaca_zh", "--dataset: dataset_info.json is not read"),
        ("--name_module_trainable qkv", "--name_module_trainable: "),
        ("--dev_ratio 0.1", "--dev_ratio: "),
        ("--resume_lora_training false", "--resume_lora_training: "),
    ] {
        refused(&format!("train {words} {flags}"), &[part]);
    }
}
