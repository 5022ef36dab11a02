//! Flags as people type them: the official scripts, spellings, precedence of files and flags.

mod args_support;

use std::fs;

use args_support::{dry_run, dry_run_in, note_lines, refused};
use serde_json::json;

/// `ptuning/train.sh` of ChatGLM2-6B, after `main.py`.
const TRAIN_SH: &str = "--do_train --train_file AdvertiseGen/train.json --validation_file AdvertiseGen/dev.json \
    --preprocessing_num_workers 10 --prompt_column content --response_column summary --overwrite_cache \
    --model_name_or_path THUDM/chatglm2-6b --output_dir output/adgen-chatglm2-6b-pt-128-2e-2 --overwrite_output_dir \
    --max_source_length 64 --max_target_length 128 --per_device_train_batch_size 1 --per_device_eval_batch_size 1 \
    --gradient_accumulation_steps 16 --predict_with_generate --max_steps 3000 --logging_steps 10 --save_steps 1000 \
    --learning_rate 2e-2 --pre_seq_len 128 --quantization_bit 4";

/// `ptuning/evaluate.sh` of ChatGLM2-6B, after `main.py`.
const EVALUATE_SH: &str = "--do_predict --validation_file AdvertiseGen/dev.json --test_file AdvertiseGen/dev.json \
    --overwrite_cache --prompt_column content --response_column summary --model_name_or_path THUDM/chatglm2-6b \
    --ptuning_checkpoint ./output/X/checkpoint-3000 --output_dir ./output/X --overwrite_output_dir \
    --max_source_length 64 --max_target_length 64 --per_device_eval_batch_size 1 --predict_with_generate \
    --pre_seq_len 128 --quantization_bit 4";

/// `ptuning/train_chat.sh` of ChatGLM2-6B, after `main.py`, with its variables filled in.
const TRAIN_CHAT_SH: &str = "--do_train --train_file chat/train.json --validation_file chat/dev.json \
    --preprocessing_num_workers 10 --prompt_column prompt --response_column response --history_column history \
    --overwrite_cache --model_name_or_path THUDM/chatglm2-6b --output_dir out --overwrite_output_dir \
    --max_source_length 256 --max_target_length 256 --per_device_train_batch_size 1 --per_device_eval_batch_size 1 \
    --gradient_accumulation_steps 16 --predict_with_generate --max_steps 3000 --logging_steps 10 --save_steps 1000 \
    --learning_rate 1e-2 --pre_seq_len 128 --quantization_bit 4";

/// The least that trains.
const LEAST: &str = "--do_train --model_name_or_path base --train_file rows.json --output_dir out --pre_seq_len 8";

#[test]
fn train_sh_resolves_as_typed() {
    let (config, stderr) = dry_run("train", TRAIN_SH);
    assert_eq!(config["do_train"], true);
    assert_eq!((&config["do_eval"], &config["do_predict"]), (&json!(false), &json!(false)));
    assert_eq!(config["base"]["quantization"], json!({"scheme": "int4"}));
    let adapter = &config["adapter"];
    assert_eq!((&adapter["method"], &adapter["pre_seq_len"]), (&json!("ptuning"), &json!(128)));
    assert_eq!((&adapter["init_from"], &adapter["prefix_projection"]), (&json!(null), &json!(false)));
    let train = &config["train"];
    assert_eq!((&train["max_steps"], &train["learning_rate"]), (&json!(3000), &json!(0.02)));
    assert_eq!(train["gradient_accumulation_steps"], 16);
    assert_eq!((&train["optim"], &train["lr_scheduler_type"]), (&json!("adamw_hf"), &json!("linear")));
    assert_eq!((&config["data"]["max_source_length"], &config["data"]["max_target_length"]), (&json!(64), &json!(128)));
    assert_eq!(config["generation"]["max_length"], 64 + 128 + 1);
    assert_eq!(note_lines(&stderr, "--preprocessing_num_workers"), 1, "{stderr}");
    assert_eq!(note_lines(&stderr, "--overwrite_cache"), 1, "{stderr}");
    assert!(!stderr.contains("warning"), "{stderr}");
}

#[test]
fn evaluate_sh_resolves_as_typed() {
    let (config, _) = dry_run("train", EVALUATE_SH);
    assert_eq!((&config["do_train"], &config["do_predict"]), (&json!(false), &json!(true)));
    assert_eq!(config["files"]["test"], "AdvertiseGen/dev.json");
    let adapter = &config["adapter"];
    assert_eq!((&adapter["method"], &adapter["pre_seq_len"]), (&json!("ptuning"), &json!(128)));
    assert_eq!(adapter["init_from"], "./output/X/checkpoint-3000");
    assert_eq!(adapter["prefix_projection"], json!(null));
    let generation = &config["generation"];
    assert_eq!((&generation["do_sample"], &generation["top_k"]), (&json!(true), &json!(50)));
    assert!((generation["temperature"].as_f64().unwrap() - 0.95).abs() < 1e-6);
    assert!((generation["top_p"].as_f64().unwrap() - 0.7).abs() < 1e-6);
    assert_eq!(generation["max_length"], 64 + 64 + 1);
}

#[test]
fn train_chat_sh_resolves_as_typed() {
    let (config, _) = dry_run("train", TRAIN_CHAT_SH);
    assert_eq!(config["data"]["history_column"], "history");
    assert_eq!(config["data"]["prompt_column"], "prompt");
}

#[test]
fn evaluate_is_train_with_do_predict() {
    let without_verb = EVALUATE_SH.replace("--do_predict", "").replace("--predict_with_generate", "");
    assert_eq!(dry_run("evaluate", &without_verb).0, dry_run("train", EVALUATE_SH).0);
}

#[test]
fn dashes_and_underscores_are_the_same() {
    let dashed = TRAIN_SH.split(' ').map(|word| match word.strip_prefix("--") {
        Some(name) => format!("--{}", name.replace('_', "-")),
        None => word.to_string(),
    });
    let dashed: Vec<_> = dashed.collect();
    assert_eq!(dry_run("train", &dashed.join(" ")).0, dry_run("train", TRAIN_SH).0);
}

#[test]
fn booleans_in_every_spelling() {
    for (spelling, value) in [
        ("--compat", true),
        ("--compat True", true),
        ("--compat=yes", true),
        ("--compat=false", false),
        ("--compat 0", false),
        ("--compat --compat False", false),
    ] {
        let (config, _) = dry_run("train", &format!("{LEAST} {spelling}"));
        assert_eq!(config["data"]["compat"], value, "{spelling}");
    }
    // transformers gives every flag that is on by default a negation.
    let (config, _) = dry_run("train", &format!("{LEAST} --no_do_sample"));
    assert_eq!(config["generation"]["do_sample"], false);
}

#[test]
fn defaults_are_the_official_ones() {
    let (config, _) = dry_run("train", LEAST);
    let train = &config["train"];
    for (name, value) in [
        ("per_device_train_batch_size", json!(8)),
        ("gradient_accumulation_steps", json!(1)),
        ("learning_rate", json!(5e-5)),
        ("max_steps", json!(null)),
        ("num_train_epochs", json!(3.0)),
        ("logging_steps", json!(500)),
        ("save_steps", json!(500)),
        ("seed", json!(42)),
        ("max_grad_norm", json!(1.0)),
        ("adam_epsilon", json!(1e-8)),
        ("evaluation_strategy", json!("no")),
    ] {
        assert_eq!(train[name], value, "{name}");
    }
    assert_eq!(
        (&config["data"]["max_source_length"], &config["data"]["max_target_length"]),
        (&json!(1024), &json!(128))
    );
    assert_eq!(config["tensorboard"], json!("out/runs"));
}

#[test]
fn defaults_give_way_to_the_file_and_the_file_to_flags() {
    let folder = tempfile::tempdir().unwrap();
    let json_text = r#"{"do_train": true, "model_name_or_path": "base", "train_file": "rows.json", "output_dir": "out",
        "pre_seq_len": 8, "learning_rate": 1e-2, "max_steps": 7, "history_column": null, "report_to": ["tensorboard"]}"#;
    fs::write(folder.path().join("args.json"), json_text).unwrap();
    let toml_text = "do_train = true\nmodel-name-or-path = \"base\"\ntrain_file = \"rows.json\"\noutput_dir = \"out\"\n\
        pre_seq_len = 8 # a comment\nlearning_rate = 1e-2\nmax_steps = 7\nreport_to = \"tensorboard\"\n";
    fs::write(folder.path().join("run.toml"), toml_text).unwrap();

    let (from_json, _) = dry_run_in(folder.path(), "train", "args.json");
    assert_eq!(from_json["train"]["learning_rate"], 0.01);
    assert_eq!(from_json["train"]["save_steps"], 500);
    assert_eq!(from_json["tensorboard"], "out/runs");
    for same in ["run.toml", "--config run.toml", "--config args.json"] {
        assert_eq!(dry_run_in(folder.path(), "train", same).0, from_json, "{same}");
    }
    let (overridden, _) = dry_run_in(folder.path(), "train", "run.toml --learning_rate 2e-2 --do_train");
    assert_eq!((&overridden["train"]["learning_rate"], &overridden["train"]["max_steps"]), (&json!(0.02), &json!(7)));
}

#[test]
fn resume_takes_nothing_auto_or_a_path() {
    for (spelling, value) in [
        ("", json!(null)),
        ("--resume_from_checkpoint", json!("auto")),
        ("--resume_from_checkpoint True", json!("auto")),
        ("--resume_from_checkpoint=false", json!(null)),
        ("--resume_from_checkpoint out/checkpoint-5", json!({"path": "out/checkpoint-5"})),
    ] {
        let (config, _) = dry_run("train", &format!("{LEAST} {spelling}"));
        assert_eq!(config["resume"], value, "{spelling}");
    }
}

#[test]
fn our_own_keys_arrive() {
    let flags = "--quantization_bit 4 --quantization_group 32 --output_layer_bit 8 --base_dtype bf16 --gradient_checkpointing \
        --activation_budget 2GB --threads 3 --prefix_dropout 0.2 --lenient --do_sample false --top_k 0 --max_new_tokens 9";
    let (config, stderr) = dry_run("train", &format!("{LEAST} {flags}"));
    assert_eq!((&config["base"]["path"], &config["base"]["dtype"]), (&json!("base"), &json!("bf16")));
    assert_eq!(config["base"]["quantization"], json!({"scheme": "int4_grouped", "group": 32}));
    assert_eq!(config["base"]["output_layer"], json!({"scheme": "int8"}));
    assert_eq!(config["train"]["checkpointing"], "always");
    assert_eq!(config["train"]["activation_budget"], 2_000_000_000_u64);
    assert_eq!((&config["threads"], &config["data"]["lenient"]), (&json!(3), &json!(true)));
    assert_eq!((&config["generation"]["top_k"], &config["generation"]["max_new_tokens"]), (&json!(0), &json!(9)));
    assert!(stderr.contains("--activation_budget has no effect without --gradient_checkpointing auto"), "{stderr}");
}

/// Numbers are those that are asked for, or a refusal that says what is missing; by itself none chooses int8.
#[test]
fn numbers_of_products_arrive() {
    let (config, _) = dry_run("train", LEAST);
    assert_ne!(config["base"]["compute"], "int8");
    let (config, _) = dry_run("train", &format!("{LEAST} --compute f32"));
    assert_eq!(config["base"]["compute"], "f32");
    if glm_model::Compute::Int8.available() {
        let (config, _) = dry_run("train", &format!("{LEAST} --compute int8"));
        assert_eq!(config["base"]["compute"], "int8");
    } else {
        refused(&format!("train --dry_run {LEAST} --compute int8"), &["--compute", "AVX512_VNNI"]);
    }
}

#[test]
fn decoding_keys_arrive() {
    let flags = "--num_beams 4 --length_penalty 0.6 --early_stopping --stop ### --repetition_detector";
    let (config, _) = dry_run("train", &format!("{LEAST} {flags}"));
    let generation = &config["generation"];
    assert_eq!((&generation["num_beams"], &generation["length_penalty"]), (&json!(4), &json!(0.6)));
    assert_eq!((&generation["early_stopping"], &generation["stop"]), (&json!(true), &json!(["###"])));
    assert_eq!(generation["repetition"]["times"], 4);
    let (config, _) = dry_run("train", &format!("{LEAST} --generation_num_beams 3"));
    assert_eq!((&config["generation"]["num_beams"], &config["generation"]["repetition"]), (&json!(3), &json!(null)));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), "stop = [\"问：\", \"\\n\\n\"]\n").unwrap();
    let (config, _) = dry_run_in(folder.path(), "train", &format!("a.toml {LEAST}"));
    assert_eq!(config["generation"]["stop"], json!(["问：", "\n\n"]));
}

#[test]
fn evaluation_during_training_turns_do_eval_on() {
    let (config, _) = dry_run("train", &format!("{LEAST} --validation_file dev.json --evaluation_strategy steps"));
    assert_eq!(config["do_eval"], true);
}

#[test]
fn surprises_are_announced() {
    let (_, stderr) = dry_run(
        "train",
        &format!("{LEAST} --max_steps 300 --save_steps 1000 --report_to wandb --fp16 --fp16_full_eval"),
    );
    assert!(stderr.contains("warning: save_steps 1000 is more than max_steps 300"), "{stderr}");
    assert!(stderr.contains("warning: learning_rate 5e-5 is too small for a prefix"), "{stderr}");
    assert!(stderr.contains("note: --report_to: nothing is reported to wandb"), "{stderr}");
    assert_eq!(note_lines(&stderr, "--fp16 "), 1, "{stderr}");
    assert_eq!(note_lines(&stderr, "--fp16_full_eval "), 1, "{stderr}");
}
