//! Mistakes: every one is named, with what was expected, what was found and what to do, and exits with 2.

mod args_support;

use std::fs;

use args_support::{glmtune, refused, refused_in, stderr};

const LEAST: &str =
    "train --do_train --model_name_or_path base --train_file rows.json --output_dir out --pre_seq_len 8";

#[test]
fn unknown_flags_name_the_nearest() {
    refused(&format!("{LEAST} --lerning_rate 1"), &["--lerning_rate", "--learning_rate"]);
    refused(&format!("{LEAST} --max-step 1"), &["--max_steps"]);
    refused("trian", &["train"]);
    refused("chat --temprature 1", &["--temperature"]);
}

#[test]
fn unknown_keys_of_files_name_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), r#"{"lerning_rate": 1}"#).unwrap();
    fs::write(folder.path().join("a.toml"), "pre_seq_length = 1\n").unwrap();
    refused_in(folder.path(), "train a.json", &["lerning_rate in a.json", "did you mean learning_rate?"]);
    refused_in(folder.path(), "train a.toml", &["pre_seq_length in a.toml", "did you mean pre_seq_len?"]);
}

#[test]
fn broken_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), "{\n\"seed\": }").unwrap();
    fs::write(folder.path().join("b.json"), "[1, 2]").unwrap();
    fs::write(folder.path().join("a.toml"), "seed = \n").unwrap();
    fs::write(folder.path().join("b.toml"), "[training]\nseed = 1\n").unwrap();
    fs::write(folder.path().join("c.toml"), "seed = \"many\"\n").unwrap();
    fs::write(folder.path().join("bytes.json"), [0xff, 0xfe, 0x00]).unwrap();
    refused_in(folder.path(), "train a.json", &["a.json: not json", "line 2"]);
    refused_in(folder.path(), "train b.json", &["b.json: expected one json object"]);
    refused_in(folder.path(), "train a.toml", &["a.toml: not toml", "line 1"]);
    refused_in(folder.path(), "train b.toml", &["training in b.toml", "top level"]);
    refused_in(
        folder.path(),
        "train c.toml",
        &["seed in c.toml: expected a whole number of 0 or more, found \"many\""],
    );
    fs::write(folder.path().join("twice.json"), "{\"seed\": 1,\n\"output_dir\": \"a\",\n\"seed\": 2}").unwrap();
    refused_in(folder.path(), "train twice.json", &["twice.json: line 3 column 6: seed is given twice; remove one"]);
    refused_in(folder.path(), "train --train_args_file twice.json", &["seed is given twice"]);
    refused_in(folder.path(), "train bytes.json", &["bytes.json: cannot read"]);
    refused_in(folder.path(), "train none.json", &["none.json: cannot read"]);
    refused_in(folder.path(), "train run.yaml", &["run.yaml", ".json or .toml"]);
    refused_in(folder.path(), "train a.json b.json", &["b.json"]);
    refused_in(folder.path(), "train a.json --config b.json", &["--config"]);
}

#[test]
fn bad_values_name_flag_expected_and_found() {
    for (flags, parts) in [
        ("--learning_rate fast", &["--learning_rate: expected a finite number, found \"fast\""][..]),
        ("--learning_rate nan", &["--learning_rate: expected a finite number"]),
        ("--learning_rate -1", &["--learning_rate: expected 0 or more, found -1"]),
        ("--max_steps 1.5", &["--max_steps: expected a whole number, found \"1.5\""]),
        ("--quantization_bit 5", &["--quantization_bit: expected one of 4, 8, found \"5\""]),
        ("--quantization_bit 4 --quantization_group 48", &["--quantization_group: expected one of 32, 64"]),
        ("--do_eval maybe", &["--do_eval: expected true or false, found \"maybe\""]),
        ("--lr_scheduler_type polynomial", &["--lr_scheduler_type: expected one of linear, cosine, constant"]),
        ("--optim adafactor", &["--optim: expected one of adamw_hf, adamw_torch, found \"adafactor\""]),
        ("--gradient_accumulation_steps 0", &["--gradient_accumulation_steps: expected 1 or more, found 0"]),
        ("--activation_budget lots", &["--activation_budget: expected a size such as 2GB"]),
        ("--prefix_dropout 1", &["--prefix_dropout: expected 0 or more and below 1, found 1"]),
        ("--top_p 1.5", &["--top_p: expected more than 0 and at most 1, found 1.5"]),
        ("--temperature 0", &["--temperature: expected more than 0", "--do_sample false"]),
        ("--num_beams 0", &["--num_beams: expected 1 to 256, found 0"]),
        ("--stop [1]", &["--stop: expected a text, or a json list of texts"]),
        ("--early_stopping maybe", &["--early_stopping: expected true or false"]),
        ("--threads 0", &["--threads: expected 1 or more, found 0"]),
        ("--pre_seq_len 0", &["--pre_seq_len: expected 1 or more, found 0"]),
        ("--max_source_length 2", &["--max_source_length: expected 3 or more, found 2"]),
        ("--num_train_epochs -1", &["--num_train_epochs: expected 0 or more, found -1"]),
        ("--output_dir", &["--output_dir"]),
        ("--output_dir=", &["--output_dir"]),
    ] {
        refused(&format!("{LEAST} {flags} --dry_run"), parts);
    }
}

#[test]
fn what_is_not_built_is_refused_plainly() {
    for (flags, part) in [
        ("--label_smoothing_factor 0.1", "--label_smoothing_factor: label smoothing is not built yet"),
        ("--group_by_length", "--group_by_length: grouping by length is not built yet"),
        ("--load_best_model_at_end", "--load_best_model_at_end: choosing the best checkpoint is not built yet"),
        ("--local_rank 1", "--local_rank 1: one process trains"),
        ("--push_to_hub", "--push_to_hub: nothing is uploaded"),
    ] {
        refused(&format!("{LEAST} {flags} --dry_run"), &[part]);
    }
    // At their defaults the same flags pass.
    let folder = tempfile::tempdir().unwrap();
    let defaults =
        "--num_beams 1 --label_smoothing_factor 0 --group_by_length false --local_rank -1 --ignore_pad_token_for_loss";
    assert!(glmtune(folder.path(), &format!("{LEAST} {defaults} --dry_run")).status.success());
}

#[test]
fn contradictions_are_errors() {
    for (words, part) in [
        ("train --output_dir out", "nothing to do: give --do_train"),
        ("train --do_train --output_dir out --model_name_or_path b --pre_seq_len 8", "--do_train needs --train_file"),
        ("train --do_train --train_file a.json --model_name_or_path b --pre_seq_len 8", "--output_dir is missing"),
        ("train --do_train --train_file a.json --output_dir out --pre_seq_len 8", "--model_name_or_path is missing"),
        ("train --do_eval --output_dir out --model_name_or_path b", "--do_eval needs --validation_file"),
        ("train --do_predict --output_dir out --model_name_or_path b", "--do_predict needs --test_file"),
        (
            "train --do_predict --test_file a.json --output_dir out --model_name_or_path b --pre_seq_len 8",
            "random prefix",
        ),
        ("evaluate --do_train --test_file a.json --output_dir out --model_name_or_path b", "use glmtune train"),
        ("chat --model_name_or_path b --pre_seq_len 8", "random prefix"),
        ("chat --model_name_or_path b --prefix_projection", "--prefix_projection needs --pre_seq_len"),
        ("chat --model_name_or_path b --quantization_bit 8 --quantization_group 32", "needs --quantization_bit 4"),
        (
            "chat --model_name_or_path b --lora_checkpoint c --pre_seq_len 8",
            "--lora_checkpoint and --pre_seq_len contradict",
        ),
        ("chat --model_name_or_path b --lora_checkpoint c --ptuning_checkpoint d", "one adapter is used at a time"),
        ("chat --model_name_or_path b --load_in_8bit --quantization_bit 4", "--load_in_8bit and --quantization_bit 4"),
        ("dev random-base --layers 0 --out b", "--layers: expected 1 or more, found 0"),
        ("dev random-base", "--out is missing"),
    ] {
        refused(words, &[part]);
    }
    refused(
        &format!("{LEAST} --num_train_epochs 0"),
        &["--num_train_epochs 0 trains nothing", "nothing is left to do"],
    );
    for (flags, names) in [
        ("--do_predict --test_file rows.json", &["--pre_seq_len without --ptuning_checkpoint", "random prefix"]),
        (
            "--do_eval --validation_file rows.json --lora_rank 4",
            &["--lora_rank without --lora_checkpoint", "random LoRA"],
        ),
    ] {
        let least = if flags.contains("lora") { LEAST.replace("--pre_seq_len 8", "") } else { LEAST.into() };
        let words = format!("{least} --num_train_epochs 0 {flags}");
        refused(&words, &["error: --num_train_epochs 0 trains nothing", names[0], names[1]]);
    }
    refused(&format!("{LEAST} --evaluation_strategy epoch"), &["--evaluation_strategy needs --validation_file"]);
}

#[test]
fn missing_files_are_named_before_anything_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    refused_in(folder.path(), LEAST, &["--model_name_or_path base: there is no such folder", "owner/name"]);
    fs::create_dir(folder.path().join("base")).unwrap();
    refused_in(folder.path(), LEAST, &["--train_file rows.json: there is no such file"]);
    fs::write(folder.path().join("rows.json"), "{}").unwrap();
    fs::create_dir_all(folder.path().join("out/checkpoint-20")).unwrap();
    refused_in(folder.path(), LEAST, &["--output_dir out holds an older run (checkpoint-20)"]);
    let words = "chat --model_name_or_path base --ptuning_checkpoint nowhere";
    refused_in(folder.path(), words, &["--ptuning_checkpoint nowhere: there is no such file or folder"]);
}

#[test]
fn the_exit_code_is_the_same_when_nobody_reads_the_message() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("glmtune"));
    let status = command.current_dir(folder.path()).args(LEAST.split_whitespace()).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn help_and_version_succeed() {
    let folder = tempfile::tempdir().unwrap();
    for words in ["--version", "--help", "train --help", "evaluate --help", "chat --help", "dev random-base --help"] {
        let output = glmtune(folder.path(), words);
        assert_eq!(output.status.code(), Some(0), "{words}: {}", stderr(&output));
        assert!(output.stderr.is_empty() && !output.stdout.is_empty(), "{words}");
    }
    let help = String::from_utf8(glmtune(folder.path(), "train --help").stdout).unwrap();
    assert!(help.contains("It is not the output"), "{help}");
    assert!(help.contains("[default: 5e-5]") && help.contains("Examples:"), "{help}");
}
