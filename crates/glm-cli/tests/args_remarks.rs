//! Flags that mean something else than one might think, or nothing: each is said in one line, and the run goes on.

mod args_support;

use std::process::Output;

use args_support::{dry_run, glmtune, note_lines, stderr};
use serde_json::json;

const LEAST: &str = "--do_train --model_name_or_path base --train_file rows.json --output_dir out --pre_seq_len 8";

/// `chat` fails for want of its base, but its remarks come first.
fn chat(flags: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output: Output = glmtune(folder.path(), &format!("chat --model_name_or_path ./base {flags}"));
    stderr(&output)
}

#[test]
fn flags_without_effect_are_named() {
    for (flags, named) in [
        ("--length_penalty 2", &["--length_penalty has no effect without --num_beams"][..]),
        ("--early_stopping", &["--early_stopping has no effect without --num_beams"]),
        ("--num_beams 2 --length_penalty 2 --early_stopping", &[]),
        (
            "--do_sample false --temperature 0.5 --top_p 0.5 --top_k 5",
            &["--temperature has no effect with --do_sample false", "--top_p has no effect", "--top_k has no effect"],
        ),
        ("--temperature 0.5 --top_p 0.5 --top_k 5", &[]),
        ("--quantized_cache kept", &["--quantized_cache has no effect without --quantization_bit"]),
        (
            "--quantized_cache kept --output_layer_bit 8",
            &["--quantized_cache has no effect without --quantization_bit"],
        ),
        ("--base_dtype bf16 --quantization_bit 4", &["--base_dtype has no effect beside --quantization_bit"]),
        ("--base_dtype bf16", &[]),
        ("--quantization_bit 4", &[]),
    ] {
        for said in [dry_run("train", &format!("{LEAST} {flags}")).1, chat(flags)] {
            for part in named {
                assert_eq!(note_lines(&said, part), 1, "{flags}: {part}\n{said}");
            }
            assert_eq!(note_lines(&said, "has no effect"), named.len(), "{flags}\n{said}");
        }
    }
    assert_eq!(note_lines(&chat("--base_dtype f16 --load_in_8bit"), "beside --load_in_8bit"), 1);
}

#[test]
fn numbers_of_steps_mean_what_they_mean_in_transformers() {
    let (config, said) = dry_run("train", &format!("{LEAST} --max_steps 0 --num_train_epochs 2"));
    assert_eq!((&config["train"]["max_steps"], &config["do_train"]), (&json!(null), &json!(true)));
    assert_eq!(note_lines(&said, "--max_steps 0 is no limit, as in transformers: --num_train_epochs 2 decides"), 1);
    for silent in ["--max_steps -1", ""] {
        assert_eq!(note_lines(&dry_run("train", &format!("{LEAST} {silent}")).1, "max_steps"), 0, "{silent}");
    }
    let (_, said) = dry_run("train", &format!("{LEAST} --save_total_limit 0"));
    assert_eq!(note_lines(&said, "--save_total_limit 0 is no limit, as in transformers: all checkpoints are kept"), 1);
    // Nothing is trained; what else there is to do is done.
    let rest = "--do_predict --test_file rows.json --ptuning_checkpoint old --num_train_epochs 0";
    let (config, said) = dry_run("train", &format!("{LEAST} {rest}"));
    assert_eq!((&config["do_train"], &config["do_predict"]), (&json!(false), &json!(true)));
    assert!(said.contains("warning: --num_train_epochs 0: nothing is trained"), "{said}");
    let (config, said) = dry_run("train", &format!("{LEAST} --num_train_epochs 0 --max_steps 5"));
    assert_eq!((&config["do_train"], &config["train"]["max_steps"]), (&json!(true), &json!(5)));
    assert!(!said.contains("nothing is trained"), "{said}");
}

#[test]
fn of_a_flag_that_is_given_twice_the_last_counts_and_that_is_said() {
    let (config, said) =
        dry_run("train", &format!("{LEAST} --seed 1 --seed 2 --learning_rate 2e-2 --learning_rate 2e-2"));
    assert_eq!(config["train"]["seed"], 2);
    assert_eq!(note_lines(&said, "--seed is given more than once (1, 2): the last one counts"), 1, "{said}");
    assert_eq!(note_lines(&said, "--learning_rate is given"), 0, "{said}");
}
