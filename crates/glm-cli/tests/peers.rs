//! Other projects' commands on real files, with only the name of the program changed.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use std::io::Write;
use std::process::Stdio;
use support::{World, text};

/// The shipped training arguments, but for the number of steps and the batch.
fn arguments(output: &str, rate: &str, more: &str) -> String {
    format!(
        r#"{{"output_dir": "{output}", "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2,
        "learning_rate": {rate}, "num_train_epochs": 1.0, "max_steps": 3, "lr_scheduler_type": "cosine",
        "logging_steps": 1, "save_strategy": "no", "optim": "adamw_torch", "fp16": false,
        "remove_unused_columns": false, "ddp_find_unused_parameters": false, "report_to": "tensorboard"{more}}}"#
    )
}

fn world() -> World {
    let world = World::new();
    let rows = std::fs::read_to_string(world.path("train.json")).unwrap();
    let instructions: Vec<String> = rows
        .lines()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            serde_json::json!({"instruction": row["content"], "input": "", "output": row["summary"]}).to_string()
        })
        .collect();
    std::fs::write(world.path("train.jsonl"), instructions.join("\n")).unwrap();
    world
}

fn chat(world: &World, flags: &str) -> String {
    let mut command = world.glmtune(&format!("chat --model_name_or_path base {flags}"));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("LC_ALL", "C").spawn().unwrap();
    child.stdin.take().unwrap().write_all("类型#裤\nstop\n".as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

#[test]
fn train_ptuning_py_then_cli_demo_py() {
    let world = world();
    std::fs::write(world.path("chatglm_6b_ptuning.json"), arguments("output/pt", "2e-2", "")).unwrap();
    let said = world
        .ok("train --train_args_file chatglm_6b_ptuning.json --model_name_or_path base --data_path train.jsonl \
         --pre_seq_len 16 --quantization_bit 4");
    assert!(said.contains("prefix: 16 × 6 layers, fresh"), "{said}");
    for file in ["pytorch_model.bin", "checkpoint-3/pytorch_model.bin", "runs", "train_results.json"] {
        assert!(world.path(&format!("output/pt/{file}")).exists(), "{file} is missing");
    }
    let said = chat(
        &world,
        "--ptuning_checkpoint output/pt/ --pre_seq_len 16 --quantization_bit 4 --no_history --max_length 64",
    );
    assert!(said.contains("prefix: 16 × 6 layers, from output/pt/"), "{said}");
}

#[test]
fn train_lora_py_then_cli_demo_py() {
    let world = world();
    let json = arguments("output/lora", "1e-3", r#", "warmup_ratio": 0.03"#);
    std::fs::write(world.path("chatglm_6b_lora.json"), json).unwrap();
    let train = "train --train_args_file chatglm_6b_lora.json --model_name_or_path base --data_path train.jsonl \
        --max_input_length 128 --max_output_length 256";
    let said = world.ok(train);
    assert!(said.contains("lora: rank 8, alpha 32 on query_key_value × 6 layers, fresh"), "{said}");
    assert!(said.contains("‖ΔW‖"), "{said}");
    for file in ["adapter_config.json", "adapter_model.bin", "checkpoint-3/adapter_model.safetensors", "runs"] {
        assert!(world.path(&format!("output/lora/{file}")).exists(), "{file} is missing");
    }
    let said =
        chat(&world, "--lora_checkpoint output/lora/ --no_history --max_length 64 --top_p 0.7 --temperature 0.95");
    assert!(said.contains("lora: rank 8"), "{said}");

    // As in the script, an adapter alone is begun with and its steps are not counted.
    let json = arguments("output/more", "1e-3", "");
    std::fs::write(world.path("chatglm_6b_lora.json"), json).unwrap();
    let said = world.ok(&format!("{train} --int8 --resume_from_checkpoint output/lora"));
    assert!(said.contains("holds no state of a training"), "{said}");
    assert!(said.contains("from output/lora"), "{said}");
    let said = world.fails(train);
    assert!(said.contains("output/more holds an older run"), "{said}");
}

#[test]
fn ds_train_finetune_sh_then_evaluate_finetune_sh() {
    let world = World::new();
    let said = world.ok(
        "train --num_gpus=4 --master_port 8888 --deepspeed deepspeed.json --do_train --train_file train.json \
         --test_file dev.json --prompt_column content --response_column summary --overwrite_cache \
         --model_name_or_path base --output_dir ./output/ft --overwrite_output_dir --max_source_length 64 \
         --max_target_length 64 --per_device_train_batch_size 2 --per_device_eval_batch_size 1 \
         --gradient_accumulation_steps 1 --predict_with_generate --max_steps 3 --logging_steps 1 --save_steps 2 \
         --learning_rate 1e-4 --fp16",
    );
    for part in ["DeepSpeed spreads", "all weights: ", "(100.0000 %)", "the weights moved by ‖Δ‖ = "] {
        assert!(said.contains(part), "{said}\nlacks {part}");
    }
    // What was saved is a base: it is evaluated, inspected and trained on like one.
    let inspected = world.ok("inspect output/ft/checkpoint-3");
    assert!(inspected.contains("Base model, ChatGLM2"), "{inspected}");
    let evaluate = |base: &str, output: &str| {
        world.ok(&format!(
            "train --do_predict --validation_file dev.json --test_file dev.json --overwrite_cache --prompt_column content \
             --response_column summary --model_name_or_path {base} --output_dir {output} --overwrite_output_dir \
             --max_source_length 64 --max_target_length 16 --per_device_eval_batch_size 1 --predict_with_generate \
             --fp16_full_eval --do_sample false"
        ));
        std::fs::read_to_string(world.path(&format!("{output}/generated_predictions.txt"))).unwrap()
    };
    assert_eq!(evaluate("output/ft/checkpoint-3", "again"), evaluate("output/ft/checkpoint-3", "once-more"));
    let full = "train --do_train --train_file train.json --model_name_or_path base --max_steps 4 --save_steps 2 \
        --max_source_length 64 --max_target_length 32 --per_device_train_batch_size 2 --learning_rate 1e-4 --threads 1";
    world.ok(&format!("{full} --output_dir whole"));
    world.ok(&format!("{full} --output_dir resumed --resume_from_checkpoint whole/checkpoint-2"));
    let weights = |run: &str| std::fs::read(world.path(&format!("{run}/checkpoint-4/model.safetensors"))).unwrap();
    assert!(weights("whole") == weights("resumed"), "a resumed full fine-tuning differs");
}

#[test]
fn full_fine_tuning_of_a_quantized_folder_is_refused_before_rows_are_read() {
    let world = World::new();
    let mut config = world.json("base/config.json");
    config["quantization_bit"] = 4.into();
    std::fs::write(world.path("base/config.json"), config.to_string()).unwrap();
    let said = world
        .fails("train --do_train --train_file train.json --model_name_or_path base --output_dir run --max_steps 1");
    for part in ["stored in INT4 and cannot train", "--pre_seq_len 128", "--method lora", "unquantized folder"] {
        assert!(said.contains(part), "{said}\nlacks {part}");
    }
    assert!(!world.path("run").exists());
}
