//! Every method on every member of the family, by the real binary on small random bases.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use glm_testkit::fixture;
use std::io::Write;
use std::process::Stdio;
use support::{World, text};

const SIZES: &str = "--layers 2 --hidden_size 64 --ffn_hidden_size 96 --num_attention_heads 4 --seq_length 512";

/// A world whose base is a random one of another member.
fn world(variant: &str, sizes: &str, tokenizer: &str) -> World {
    let world = World::new();
    let tokenizer = fixture(tokenizer).canonicalize().unwrap();
    world.ok(&format!(
        "dev random-base --variant {variant} {SIZES} {sizes} --tokenizer {} --out random",
        tokenizer.display()
    ));
    world
}

fn works(world: &World) {
    let rows =
        "--max_source_length 64 --max_target_length 16 --per_device_train_batch_size 2 --per_device_eval_batch_size 2";
    for (method, flags, file, said) in [
        (
            "pt",
            "--pre_seq_len 4 --quantization_bit 4 --learning_rate 2e-2",
            "--ptuning_checkpoint",
            "prefix: 4 × 2 layers",
        ),
        ("ptp", "--pre_seq_len 4 --prefix_projection --learning_rate 1e-2", "--ptuning_checkpoint", "with projection"),
        ("lora", "--lora_rank 4 --quantization_bit 8 --learning_rate 1e-3", "--lora_checkpoint", "lora: rank 4"),
        ("all", "--lora_target all-linear --learning_rate 1e-3", "--init_from", "× 2 layers"),
        ("full", "--learning_rate 1e-4", "", "all weights"),
    ] {
        let train = format!(
            "train --do_train --do_eval --train_file train.json --validation_file dev.json --model_name_or_path random \
             {rows} --max_steps 2 --logging_steps 1 --output_dir {method} {flags}"
        );
        let output = world.ok(&train);
        assert!(output.contains(said) && output.contains("eval_loss"), "{train}\n{output}");
        let quantization = if flags.contains("bit 4") { "--quantization_bit 4" } else { "" };
        let (base, adapter) = match file {
            "" => (format!("{method}/checkpoint-2"), String::new()),
            flag => ("random".into(), format!("{flag} {method}/checkpoint-2")),
        };
        let using =
            format!("--model_name_or_path {base} {adapter} {quantization} --do_sample false --max_new_tokens 4");
        world.ok(&format!(
            "evaluate --test_file dev.json --max_predict_samples 2 {rows} --output_dir {method}-scores {using}"
        ));
        let mut child = world
            .glmtune(&format!("chat {using}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all("你好\n再见\n".as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{using}\n{}", text(&output));
        world.ok(&format!("inspect {method}/checkpoint-2"));
    }
}

#[test]
fn chatglm_6b() {
    let world = world("chatglm", "", "glm1-tokenizer");
    works(&world);
    let inspected = world.ok("inspect random");
    assert!(inspected.contains("Base model, ChatGLM") && inspected.contains("ice_text.model"), "{inspected}");
}

#[test]
fn chatglm3_6b() {
    let world = world("chatglm3", "--kv_channels 16 --multi_query_group_num 2", "tiny-tokenizer/tokenizer.model");
    works(&world);
    assert!(world.ok("inspect random").contains("Base model, ChatGLM3"));
}

#[test]
fn an_adapter_of_another_member_is_refused_with_the_likely_cause() {
    let first = world("chatglm", "", "glm1-tokenizer");
    let train =
        "train --do_train --train_file train.json --model_name_or_path random --max_steps 1 --max_source_length 64";
    first.ok(&format!("{train} --output_dir lora --method lora --learning_rate 1e-3"));
    first.ok(&format!("{train} --output_dir prefix --pre_seq_len 4 --learning_rate 1e-2"));
    for adapter in ["lora", "prefix"] {
        let said = first.fails(&format!(
            "evaluate --test_file dev.json --model_name_or_path base --output_dir out --init_from {adapter}/checkpoint-1"
        ));
        assert!(said.contains("does not fit this base"), "{said}");
        assert!(!first.path("out").exists(), "a refused run leaves nothing behind");
    }
}
