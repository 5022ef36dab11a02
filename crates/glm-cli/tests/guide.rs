//! Runs every command of `docs/guide/*.md`: each page in a folder of its own, on tiny bases that stand where the pages
//! name the published ones, with fewer steps and rows.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::World;

/// Appended to every run so that it is short; the last of two equal flags wins.
const SHORT: &str = "--max_steps 2 --gradient_accumulation_steps 1 --max_train_samples 8 --max_predict_samples 2 \
                     --max_eval_samples 2 --max_new_tokens 4";

fn guide() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide")
}

/// The shell blocks of a page.
fn blocks(page: &str) -> Vec<String> {
    blocks_of(page, "```sh")
}

/// The blocks that begin with a line.
fn blocks_of(page: &str, first: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in page.lines() {
        match (&mut block, line) {
            (None, line) if line == first => block = Some(String::new()),
            (Some(_), "```") => blocks.extend(block.take()),
            (Some(text), line) => *text += &format!("{line}\n"),
            (None, _) => {}
        }
    }
    blocks
}

/// A folder as the pages assume it: bases, rows and adapters under the names that they use.
fn world() -> World {
    let world = World::new();
    let write = |name: &str, text: &str| {
        let path = world.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    std::fs::create_dir(world.path("THUDM")).unwrap();
    std::fs::rename(world.path("base"), world.path("THUDM/chatglm2-6b")).unwrap();
    let small = "--layers 2 --hidden_size 32 --ffn_hidden_size 64 --num_attention_heads 4 --seq_length 1024";
    let ice_text = glm_testkit::fixture("glm1-tokenizer/ice_text.model");
    let vocabulary = world.path("THUDM/chatglm2-6b/tokenizer.model");
    for (variant, folder, sizes, tokenizer) in [
        ("chatglm", "chatglm-6b", "--padded_vocab_size 24000", &ice_text),
        ("chatglm3", "chatglm3-6b", "--padded_vocab_size 1536 --kv_channels 8", &vocabulary),
    ] {
        let tokenizer = tokenizer.display();
        world.ok(&format!(
            "dev random-base --variant {variant} {small} {sizes} --tokenizer {tokenizer} --out THUDM/{folder}"
        ));
    }
    std::fs::create_dir(world.path("AdvertiseGen")).unwrap();
    for name in ["train.json", "dev.json"] {
        std::fs::rename(world.path(name), world.path(&format!("AdvertiseGen/{name}"))).unwrap();
    }
    let chat = r#"{"prompt": "那呢", "response": "也好", "history": [["你好", "你好！"]]}"#;
    write("chat/train.json", &format!("{chat}\n{chat}\n"));
    write("chat/dev.json", &format!("{chat}\n"));
    let said = |role: &str, content: &str| format!(r#"{{"role": "{role}", "content": "{content}"}}"#);
    let messages = [said("system", "简短"), said("user", "你好"), said("assistant", "你好！")].join(", ");
    write("chat/messages.jsonl", &format!("{{\"messages\": [{messages}]}}\n").repeat(3));
    let instruct = r#"{"instruction": "写广告", "input": "类型#裤", "output": "这条裤子好看。"}"#;
    write("belle.jsonl", &format!("{instruct}\n").repeat(4));
    for (name, output) in [("chatglm_6b_ptuning.json", "output/zt-prefix"), ("chatglm_6b_lora.json", "output/zt-lora")]
    {
        let arguments = serde_json::json!({
            "output_dir": output, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 4,
            "learning_rate": 1e-3, "max_steps": 3000, "lr_scheduler_type": "cosine", "logging_steps": 50,
            "save_strategy": "no", "optim": "adamw_torch", "fp16": true, "remove_unused_columns": false,
            "ddp_find_unused_parameters": false, "report_to": "tensorboard", "seed": 42,
        });
        write(name, &arguments.to_string());
    }
    write("questions.txt", "你好\n");
    let train = "train --do_train --train_file AdvertiseGen/train.json --model_name_or_path THUDM/chatglm2-6b \
                 --max_train_samples 4 --max_steps 1 --max_source_length 64 --max_target_length 64 --learning_rate 1e-2";
    for (name, method) in [("prefix", "--pre_seq_len 4"), ("lora", "--lora_rank 4")] {
        world.ok(&format!("{train} {method} --output_dir made/{name}"));
        std::fs::create_dir_all(world.path("adapters")).unwrap();
        let checkpoint = world.path(&format!("made/{name}/checkpoint-1"));
        std::fs::rename(checkpoint, world.path(&format!("adapters/{name}"))).unwrap();
    }
    world
}

/// A program of the name `glmtune` that runs the binary with [`SHORT`] behind what each verb is given.
fn wrapper(world: &World) -> PathBuf {
    let folder = world.path("bin");
    std::fs::create_dir(&folder).unwrap();
    let binary = assert_cmd::cargo::cargo_bin!("glmtune");
    let script = format!(
        "#!/bin/sh\nset -e\nprefix=\nfor word in \"$@\"; do\n  case $word in --pre_seq_len*) prefix=\"--pre_seq_len 4\";; esac\ndone\n\
         case $1 in\n  train|evaluate|plan) exec {binary} \"$@\" {SHORT} $prefix;;\n  *) exec {binary} \"$@\";;\nesac\n",
        binary = binary.display(),
    );
    let path = folder.join("glmtune");
    std::fs::write(&path, script).unwrap();
    assert!(Command::new("chmod").arg("+x").arg(&path).status().unwrap().success());
    folder
}

fn run_page(page: &str) {
    let text = std::fs::read_to_string(guide().join(page)).unwrap();
    let blocks = blocks(&text);
    assert!(!blocks.is_empty(), "{page} has no commands");
    let world = world();
    let path = format!("{}:{}", wrapper(&world).display(), std::env::var("PATH").unwrap());
    for block in blocks {
        let output = Command::new("sh")
            .args(["-e", "-c", &block])
            .current_dir(world.folder.path())
            .env("PATH", &path)
            .env("RAYON_NUM_THREADS", "1")
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{page}\n{block}\n{}", support::text(&output));
    }
}

#[test]
fn tune() {
    run_page("tune.md");
}

#[test]
fn chat() {
    run_page("chat.md");
}

#[test]
fn chat_data() {
    run_page("chat-data.md");
}

#[test]
fn evaluate() {
    run_page("evaluate.md");
}

#[test]
fn export() {
    run_page("export.md");
}

#[test]
fn speed() {
    run_page("speed.md");
}

/// Servers run until they are stopped: each is started, on another port, and has to listen.
#[test]
fn serve() {
    let text = std::fs::read_to_string(guide().join("serve.md")).unwrap();
    let world = world();
    std::fs::create_dir_all(world.path("output")).unwrap();
    std::fs::write(world.path("admin.keys"), "admin\n").unwrap();
    std::fs::write(world.path("api.keys"), "api\n").unwrap();
    let mut started = 0;
    for block in blocks_of(&text, "```text") {
        let Some(words) = block.strip_prefix("glmtune serve ") else { continue };
        let words = format!("serve {} --port 0", words.replace('\\', " "));
        let mut server = world.glmtune(&words).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
        assert!(line.starts_with("http://"), "{block}\n{line}");
        started += 1;
    }
    assert!(started > 0, "serve.md starts no server");
}

#[test]
fn every_page_is_run() {
    let mut pages: Vec<String> = std::fs::read_dir(guide())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    pages.sort();
    assert_eq!(
        pages,
        ["chat-data.md", "chat.md", "evaluate.md", "export.md", "serve.md", "speed.md", "tune.md"],
        "add a test for each page"
    );
}
