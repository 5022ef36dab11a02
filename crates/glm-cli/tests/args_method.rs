//! What trains is told from the flags, and flags that contradict each other are refused.

mod args_support;

use args_support::{dry_run, refused};
use serde_json::json;

/// A run that only lacks its method.
const RUN: &str = "--do_train --model_name_or_path base --train_file rows.json --output_dir out";

fn adapter(flags: &str) -> serde_json::Value {
    dry_run("train", &format!("{RUN} {flags}")).0["adapter"].clone()
}

#[test]
fn the_method_is_told_from_the_other_flags() {
    for (flags, method) in [
        ("--pre_seq_len 8", "ptuning"),
        ("--ptuning_checkpoint old", "ptuning"),
        ("--pre_seq_len 8 --prefix_projection", "ptuning"),
        ("--lora_rank 4", "lora"),
        ("--lora_alpha 16", "lora"),
        ("--lora_dropout 0", "lora"),
        ("--lora_target dense", "lora"),
        ("--use_rslora", "lora"),
        ("--lora_checkpoint old", "lora"),
        ("--init_from old", "from_file"),
        ("", "full"),
        ("--method lora", "lora"),
        ("--method ptuning --pre_seq_len 8", "ptuning"),
        ("--method ptuning --init_from old", "ptuning"),
        ("--method lora --init_from old", "lora"),
        ("--method full", "full"),
        ("--method freeze", "freeze"),
        ("--finetuning_type p_tuning --pre_seq_len 8", "ptuning"),
        ("--finetuning_type lora", "lora"),
        ("--finetuning_type full --use_rslora false --prefix_projection false", "full"),
    ] {
        assert_eq!(adapter(flags)["method"], method, "{flags}");
    }
}

#[test]
fn sizes_are_settled_without_files_and_left_to_them_with_files() {
    let fresh = adapter("--method lora");
    assert_eq!((&fresh["rank"], &fresh["alpha"], &fresh["use_rslora"]), (&json!(8), &json!(32.0), &json!(false)));
    assert_eq!((&fresh["target"], &fresh["init_from"]), (&json!("query_key_value"), &json!(null)));
    assert!((fresh["dropout"].as_f64().unwrap() - 0.05).abs() < 1e-6);
    let warm = adapter("--lora_checkpoint old --lora_dropout 0.1");
    assert_eq!((&warm["rank"], &warm["target"], &warm["init_from"]), (&json!(null), &json!(null), &json!("old")));
    assert!((warm["dropout"].as_f64().unwrap() - 0.1).abs() < 1e-6);
    assert_eq!(adapter("--method freeze --num_layer_trainable 2")["num_layer_trainable"], 2);
}

#[test]
fn evaluation_needs_no_method() {
    for (flags, expected) in [
        ("", json!(null)),
        ("--method full", json!(null)),
        ("--lora_checkpoint old", json!("lora")),
        ("--ptuning_checkpoint old", json!("ptuning")),
        ("--init_from old", json!("from_file")),
    ] {
        let words = format!("--test_file rows.json --model_name_or_path base --output_dir out {flags}");
        let (config, _) = dry_run("evaluate", &words);
        let method = config["adapter"].get("method").cloned().unwrap_or_default();
        assert_eq!(method, expected, "{flags}");
    }
    let evaluate = "evaluate --test_file rows.json --model_name_or_path base --output_dir out";
    refused(&format!("{evaluate} --method lora"), &["--method without --lora_checkpoint", "untrained, random LoRA"]);
    refused(&format!("{evaluate} --lora_rank 8"), &["--lora_rank without --lora_checkpoint"]);
}

#[test]
fn contradictions_name_both_flags() {
    for (flags, parts) in [
        ("--pre_seq_len 8 --lora_rank 4", &["--pre_seq_len and --lora_rank contradict each other"][..]),
        ("--ptuning_checkpoint a --lora_target dense", &["--ptuning_checkpoint and --lora_target contradict"]),
        ("--method lora --pre_seq_len 8", &["--method lora and --pre_seq_len contradict each other"]),
        ("--method ptuning --lora_alpha 3", &["--method ptuning and --lora_alpha contradict each other"]),
        ("--method full --lora_rank 4", &["--method full and --lora_rank contradict each other"]),
        ("--method full --init_from old", &["--method full and --init_from contradict each other"]),
        ("--finetuning_type freeze --pre_seq_len 8", &["--finetuning_type freeze and --pre_seq_len contradict"]),
        ("--method lora --finetuning_type full", &["are two names of one setting"]),
        (
            "--ptuning_checkpoint a --init_from b",
            &["--ptuning_checkpoint and --init_from: one adapter is used at a time"],
        ),
        ("--checkpoint_dir a,b", &["--checkpoint_dir a,b: expected one adapter"]),
        ("--method none", &["--method none trains nothing"]),
        ("--method qlora", &["--method: expected one of ptuning, lora, full, freeze", "found \"qlora\""]),
        ("--method ptuning", &["--method needs --pre_seq_len: 128 is usual"]),
        ("--prefix_projection", &["--prefix_projection needs --pre_seq_len"]),
        ("--num_layer_trainable 3 --method lora", &["--num_layer_trainable needs --method freeze"]),
        ("--method freeze --num_layer_trainable 0", &["--num_layer_trainable: expected 1 or more, found 0"]),
        ("--lora_rank 0", &["--lora_rank: expected 1 or more, found 0"]),
        ("--lora_alpha 0", &["--lora_alpha: expected more than 0, found 0"]),
        ("--lora_dropout 1", &["--lora_dropout: expected 0 or more and below 1, found 1"]),
        // Weights that train are not quantized; both ways out are named.
        ("--quantization_bit 4", &["--quantization_bit: weights that train", "--pre_seq_len 128", "--method lora"]),
        ("--method full --quantization_bit 8", &["--quantization_bit: weights that train", "--method asks for it"]),
        ("--method full --output_layer_bit 8", &["--output_layer_bit: all weights train"]),
        ("--method full --base_dtype f16", &["--base_dtype f16: weights that train are held in f32"]),
    ] {
        refused(&format!("train {RUN} {flags} --dry_run"), parts);
    }
}

#[test]
fn rates_that_usually_disappoint_are_warned_of() {
    for (flags, warning) in [
        ("--pre_seq_len 8 --learning_rate 2e-2", None),
        ("--pre_seq_len 8 --learning_rate 5e-5", Some("too small for a prefix")),
        ("--pre_seq_len 8 --learning_rate 0.2", Some("large for a prefix")),
        ("--pre_seq_len 8 --learning_rate 0", Some("learning_rate 0 changes nothing")),
        ("--method lora --learning_rate 0", Some("learning_rate 0 changes nothing")),
        ("--method lora --learning_rate 1e-3", None),
        ("--method lora --learning_rate 2e-2", Some("large for LoRA")),
        ("--method full --learning_rate 1e-4", None),
        ("--learning_rate 2e-2", Some("large for training the weights themselves")),
    ] {
        let (_, stderr) = dry_run("train", &format!("{RUN} {flags}"));
        match warning {
            Some(warning) => assert!(stderr.contains(warning), "{flags}: {stderr}"),
            None => assert!(!stderr.contains("learning_rate"), "{flags}: {stderr}"),
        }
    }
}
