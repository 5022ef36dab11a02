//! `replay`: training, evaluation and the server make the same of rows, and what differs is named.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use glm_testkit::fixture;
use serde_json::{Value, json};
use support::{World, text};

const SIZES: &str = "--layers 2 --hidden_size 64 --ffn_hidden_size 96 --num_attention_heads 4 --seq_length 512";

/// A world with a random base of a member, and rows of one and of several turns.
fn world(variant: &str, sizes: &str, tokenizer: &str) -> World {
    let world = World::new();
    let tokenizer = fixture(tokenizer).canonicalize().unwrap();
    world.ok(&format!(
        "dev random-base --variant {variant} {SIZES} {sizes} --tokenizer {} --out random",
        tokenizer.display()
    ));
    let turns = json!([["你好", "你好，请问要什么？"], ["裙子", "好的。"]]);
    let rows = [
        json!({"question": "长的短的？", "answer": "长的。", "history": turns}),
        json!({"question": "红色的 coat", "answer": "有。", "history": []}),
    ];
    world_rows(&world, "turns.json", &rows);
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let rows = [
        json!({"messages": [message("system", "你是店员。"), message("user", "你好"), message("assistant", "你好！"),
            message("user", "多少钱？"), message("assistant", "一百元。")]}),
        json!({"messages": [message("user", "<|user|> [gMASK] <sop>"), message("assistant", "什么？")]}),
    ];
    world_rows(&world, "messages.json", &rows);
    world
}

fn world_rows(world: &World, name: &str, rows: &[Value]) {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    std::fs::write(world.path(name), lines.join("\n")).unwrap();
}

/// Exit code, report and standard error.
fn replay(world: &World, words: &str) -> (Option<i32>, Value, String) {
    let output = world.run(&format!("replay --model_name_or_path random --max_new_tokens 6 --json {words}"));
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{words}: {e}\n{}", text(&output)));
    (output.status.code(), report, String::from_utf8(output.stderr).unwrap())
}

fn agrees(world: &World, words: &str, rows: usize) -> Value {
    let (code, report, said) = replay(world, words);
    assert_eq!((code, &report["differences"]), (Some(0), &json!([])), "{words}: {report}\n{said}");
    for count in ["rows", "trained_as_evaluated", "evaluated_as_served", "answered_alike"] {
        assert_eq!(report[count], rows, "{words}: {count} of {report}");
    }
    assert!(report["answer_tokens"].as_u64().unwrap() >= rows as u64);
    report
}

fn member(world: &World) {
    let train = "train --do_train --model_name_or_path random --max_source_length 200 --max_target_length 16 \
                 --per_device_train_batch_size 2 --max_steps 2";
    world.ok(&format!(
        "{train} --train_file train.json --output_dir single --pre_seq_len 4 --learning_rate 2e-2 --source_prefix 写：--- "
    ));
    world.ok(&format!(
        "{train} --train_file turns.json --prompt_column question --response_column answer \
        --history_column history --output_dir turns --method lora --learning_rate 1e-2"
    ));
    world.ok(&format!("{train} --train_file messages.json --output_dir messages --method lora --learning_rate 1e-2"));

    // Adapters on rows like those that they were trained on, and the bare base.
    let report = agrees(world, "--adapter single/checkpoint-2 --test_file dev.json", 6);
    assert_eq!((&report["data_from"], &report["source_prefix"]), (&json!("the run of the adapter"), &json!("写：---")));
    assert_eq!(report["server_gives_history"], false);
    let report = agrees(world, "--adapter turns/checkpoint-2 --test_file turns.json", 2);
    assert_eq!(report["server_gives_history"], true);
    agrees(world, "--adapter messages/checkpoint-2 --test_file messages.json", 2);
    agrees(world, "--test_file dev.json --max_samples 3", 3);
    // An adapter's file alone, away from its run.
    std::fs::create_dir_all(world.path("alone/adapter")).unwrap();
    std::fs::copy(
        world.path("single/checkpoint-2/adapter.safetensors"),
        world.path("alone/adapter/adapter.safetensors"),
    )
    .unwrap();
    let report = agrees(world, "--adapter alone/adapter --test_file dev.json", 6);
    assert_eq!((&report["data_from"], &report["max_source_length"]), (&json!("the file of the adapter"), &json!(200)));

    // An adapter of single questions gets no turns from the server, and its own text before each prompt.
    let columns = "--prompt_column question --response_column answer --history_column history";
    let (code, report, said) = replay(
        world,
        &format!("--adapter single/checkpoint-2 --test_file turns.json {columns} --source_prefix 写：---"),
    );
    assert_eq!(
        (code, &report["evaluated_as_served"], &report["trained_as_evaluated"]),
        (Some(1), &json!(1), &json!(2))
    );
    let first = &report["differences"][0];
    assert_eq!(
        (&first["row"], &first["of"], &first["between"]),
        (&json!(1), &json!("prompt"), &json!(["evaluation", "serving"]))
    );
    assert!(said.contains("error: row 1: token") && said.contains("single questions"), "{said}");
    let (code, report, said) = replay(world, "--adapter single/checkpoint-2 --test_file dev.json --source_prefix 答：");
    assert_eq!((code, &report["evaluated_as_served"], &report["answered_alike"]), (Some(1), &json!(0), &json!(0)));
    assert!(said.contains("another source_prefix"), "{said}");

    // Rows that are cut are named, and not called the same.
    let output = world.run(
        "replay --model_name_or_path random --adapter turns/checkpoint-2 --test_file dev.json --max_source_length 30 \
         --max_new_tokens 2",
    );
    let said = text(&output);
    assert!(output.status.success() && said.contains("cuts nothing: 6 rows (1, 2, 3, 4, 5, 6)"), "{said}");
    assert!(said.contains("6 of 6\n") && said.contains("0 of 0\n"), "{said}");
}

#[test]
fn chatglm_6b() {
    member(&world("chatglm", "", "glm1-tokenizer"));
}

#[test]
fn chatglm2_6b() {
    member(&world("chatglm2", "--kv_channels 16 --multi_query_group_num 2", "tiny-tokenizer/tokenizer.model"));
}

#[test]
fn chatglm3_6b() {
    let world = world("chatglm3", "--kv_channels 16 --multi_query_group_num 2", "tiny-tokenizer/tokenizer.model");
    member(&world);
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let tools = json!([{"type": "function", "function": {"name": "price", "description": "价格",
        "parameters": {"type": "object", "properties": {"item": {"type": "string"}}}}}]);
    let call = json!({"role": "assistant", "content": "", "tool_calls": [{"type": "function",
        "function": {"name": "price", "arguments": "{\"item\": \"裙子\"}"}}]});
    let rows = [json!({"tools": tools, "messages": [message("user", "裙子多少钱？"), call, message("tool", "100"),
        message("assistant", "一百元。")]})];
    world_rows(&world, "tools.json", &rows);
    agrees(&world, "--adapter messages/checkpoint-2 --test_file tools.json --max_source_length 2000", 1);
}

#[test]
fn what_is_missing_is_said() {
    let world = World::new();
    world.refused("replay --model_name_or_path base", &["--test_file is missing"]);
    world.refused("replay --model_name_or_path base --test_file dev.json --max_samples 0", &["--max_samples"]);
    world.refused("replay --model_name_or_path base --test_file dev.json --adapter none", &["--adapter none"]);
}
