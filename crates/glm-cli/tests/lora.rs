//! LoRA from the first step to a conversation, by the real binary on a tiny base.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::{World, files, text};

const TRAIN: &str = "train --do_train --train_file train.json --validation_file dev.json --model_name_or_path base \
    --quantization_bit 4 --max_source_length 64 --max_target_length 48 --per_device_train_batch_size 2 \
    --gradient_accumulation_steps 2 --max_steps 6 --save_steps 2 --logging_steps 1 --learning_rate 1e-2 --lora_rank 4 \
    --lora_target query_key_value,dense_4h_to_h --threads 1";
const EVALUATE: &str = "evaluate --test_file dev.json --model_name_or_path base --quantization_bit 4 \
    --max_source_length 64 --max_target_length 16 --do_sample false --output_dir scores";

fn predictions(world: &World) -> String {
    std::fs::read_to_string(world.path("scores/generated_predictions.txt")).unwrap()
}

/// Answers of a conversation.
fn chat(world: &World, flags: &str, typed: &str) -> (String, String) {
    let words = format!("chat --model_name_or_path base --do_sample false --max_new_tokens 12 {flags}");
    let mut command = world.glmtune(&words);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("LC_ALL", "C").spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let all = text(&output);
    assert!(output.status.success(), "{words}\n{all}");
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn train_evaluate_inspect_and_chat() {
    let world = World::new();
    let said = world.ok(&format!("{TRAIN} --max_steps 40 --save_steps 40 --output_dir run"));
    for part in [
        "lora: rank 4, alpha 32 on query_key_value, dense_4h_to_h × 6 layers, fresh, ",
        " trainable",
        "‖ΔW‖ = ",
        "its factors moved by ‖Δ‖ = ",
    ] {
        assert!(said.contains(part), "{said}\nlacks {part}");
    }
    let checkpoint = world.path("run/checkpoint-40");
    let names: Vec<String> = files(&checkpoint).into_iter().map(|(name, _)| name).collect();
    for file in ["adapter_config.json", "adapter_model.bin", "adapter_model.safetensors", "tokenizer.model"] {
        assert!(names.iter().any(|name| name == file), "{file} is not among {names:?}");
    }
    let config = world.json("run/checkpoint-40/adapter_config.json");
    assert_eq!((&config["r"], &config["lora_alpha"], &config["peft_type"]), (&4.into(), &32.into(), &"LORA".into()));

    // A LoRA that was just begun adds nothing; a trained one does.
    world.ok(EVALUATE);
    let bare = predictions(&world);
    world.ok(&format!("{EVALUATE} --lora_checkpoint run/checkpoint-40"));
    let tuned = predictions(&world);
    assert_ne!(bare, tuned, "what was learned changes some answer");
    for same in ["--init_from run/checkpoint-40", "--checkpoint_dir run/checkpoint-40/adapter_model.bin"] {
        world.ok(&format!("{EVALUATE} {same}"));
        assert_eq!(predictions(&world), tuned, "{same}");
    }

    world
        .ok(&format!("{EVALUATE} --num_beams 3 --length_penalty 0.8 --early_stopping --stop 。 --repetition_detector"));
    let beams = predictions(&world);
    let answers = beams.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    for answer in answers.map(|row| row["predict"].as_str().unwrap().to_owned()) {
        assert!(!answer.is_empty() && !answer.contains('。'), "{answer}");
    }

    let inspected = world.ok("inspect run/checkpoint-40");
    for part in ["LoRA adapter", "rank", "query_key_value", "glmtune_lora", "all finite"] {
        assert!(inspected.contains(part), "{inspected}\nlacks {part}");
    }

    let question = "类型#裤*风格#简约\n";
    let (plain, _) = chat(&world, "--load_in_8bit --no_history", question);
    let (answer, said) = chat(&world, "--lora_checkpoint run/checkpoint-40 --load_in_8bit --no_history", question);
    assert!(said.contains("lora: rank 4") && said.contains("from run/checkpoint-40"), "{said}");
    assert!(!answer.trim().is_empty() && !plain.trim().is_empty());
}

#[test]
fn killed_and_resumed_it_equals_the_uninterrupted_run() {
    let world = World::new();
    let began = Instant::now();
    world.ok(&format!("{TRAIN} --output_dir whole --lora_dropout 0.1"));
    let whole = began.elapsed();
    let killed = format!("{TRAIN} --output_dir killed --lora_dropout 0.1 --resume_from_checkpoint auto");
    let mut kills = 0;
    for share in [0.3, 0.5, 0.7] {
        let mut child = world.glmtune(&killed).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_secs_f64(whole.as_secs_f64() * share));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
    }
    assert!(kills > 0, "no run lived long enough to be killed");
    world.ok(&killed);
    for name in ["adapter_config.json", "adapter_model.bin", "adapter_model.safetensors", "training_state.safetensors"]
    {
        let read = |run: &str| std::fs::read(world.path(&format!("{run}/checkpoint-6/{name}"))).unwrap();
        assert!(read("whole") == read("killed"), "{name} differs after {kills} kills");
    }
}

#[test]
fn warm_starts_take_their_sizes_from_the_file() {
    let world = World::new();
    world.ok(&format!("{TRAIN} --output_dir first"));
    let again = TRAIN.replace("--lora_rank 4 --lora_target query_key_value,dense_4h_to_h", "--max_steps 1");
    for flag in ["--init_from", "--lora_checkpoint"] {
        let said = world.ok(&format!("{again} --output_dir second{flag} {flag} first/checkpoint-6"));
        assert!(said.contains("rank 4, alpha 32 on query_key_value, dense_4h_to_h"), "{said}");
        assert!(said.contains("from first/checkpoint-6"), "{said}");
    }
    let refused = |flags: &str, parts: &[&str]| {
        let said = world.fails(&format!("{again} --output_dir third {flags}"));
        for part in parts {
            assert!(said.contains(part), "{flags}\n{said}\nlacks {part}");
        }
        assert!(!world.path("third").exists(), "{flags}: a refused run leaves nothing behind");
    };
    refused("--init_from first/checkpoint-6 --lora_rank 8", &["has lora_rank 4; you passed --lora_rank 8"]);
    refused("--lora_checkpoint first/checkpoint-6 --lora_target dense", &["--lora_target dense", "Leave the flag out"]);
    refused("--ptuning_checkpoint first/checkpoint-6", &["--ptuning_checkpoint", "it holds LoRA", "--lora_checkpoint"]);
    refused("--method lora --lora_target attention", &["no linear layer", "attention"]);
    let prefix = "train --do_train --train_file train.json --model_name_or_path base --max_steps 1 --pre_seq_len 4";
    world.ok(&format!("{prefix} --output_dir prefix"));
    refused("--lora_checkpoint prefix/checkpoint-1", &["it holds a P-Tuning prefix", "--ptuning_checkpoint"]);
    // What is said before the file is open is not what the file then turns out to contradict.
    let said = world.fails(&format!("{again} --output_dir third --lora_checkpoint first/checkpoint-6 --lora_rank 3"));
    assert!(said.contains("you passed --lora_rank 3") && !said.contains("of rank 3"), "{said}");
    // The kind need not be said.
    let said = world.ok(&format!("{again} --init_from prefix/checkpoint-1 --learning_rate 1e-5 --output_dir fourth"));
    assert!(said.contains("prefix: 4 × 6 layers, from prefix/checkpoint-1"), "{said}");
    assert!(said.contains("too small for a prefix"), "{said}");
    // A damaged adapter is named.
    let file = world.path("first/checkpoint-6/adapter_model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    refused("--init_from first/checkpoint-6", &["adapter_model.safetensors"]);
}
