//! Exported GGUF files in a real llama.cpp: it loads them, splits texts and chats into the same ids, and answers with the
//! same greedy ids. Needs Python with xllamacpp or llama-cpp-python (`GLM_PYTHON` names another interpreter); skipped with a
//! printed reason without them.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use candle_core::Device;
use candle_core::quantized::gguf_file::Content;
use glm_data::{Tokenizer, Turn, Variant, prompt};
use glm_infer::{Engine, GenerationConfig, Request, SpecialIds};
use glm_model::adapter::AdapterSlots;
use glm_model::export::{FolderSource, GgufOptions, GgufType, TensorSource, export_gguf};
use glm_model::glm::layout;
use glm_model::weights::{ElementType, FileFormat, NewTensor, Shards};
use glm_model::{LoadOptions, Network};
use glm_testkit::{fixture, write_random_base};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use support::{floats, greedy, id_rows};

/// Exit code of the script when no llama.cpp is installed.
const ABSENT: i32 = 77;
const QUESTIONS: [&str; 5] =
    ["类型#上衣*材质#棉*颜色#白色", "你好", "类型#裙*风格#简约", "hello, world", "类型#裤*版型#宽松*图案#条纹"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The answers of llama.cpp, or `None` with a printed reason.
fn llama_cpp(gguf: &Path, request: &Value) -> Option<Value> {
    let python = std::env::var_os("GLM_PYTHON").unwrap_or_else(|| "python3".into());
    let script = root().join("scripts/llama_cpp_greedy.py");
    let spawned = Command::new(&python)
        .arg(script)
        .arg(gguf)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            eprintln!("skipped: {} cannot be run: {error}", python.display());
            return None;
        }
    };
    serde_json::to_writer(child.stdin.take().unwrap(), request).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(ABSENT) {
        eprintln!("skipped: {}", errors.trim());
        return None;
    }
    assert!(output.status.success(), "{errors}");
    // llama.cpp may log to standard output; the answers are its last line.
    let text = String::from_utf8(output.stdout).unwrap();
    Some(serde_json::from_str(text.lines().last().unwrap()).unwrap_or_else(|e| panic!("{e}: {text}")))
}

fn answers(network: &Network, tokenizer: &Tokenizer, prompts: &[Vec<u32>], most: usize) -> Vec<Vec<u32>> {
    let config: GenerationConfig = greedy(most);
    let requests: Vec<Request> = prompts.iter().map(|ids| Request::new(ids.clone(), None, &config)).collect();
    let prefixes = AdapterSlots::default();
    let engine = Engine::new(network, &prefixes, SpecialIds::of(tokenizer));
    let answers = engine.generate(&requests, &config, &AtomicBool::new(false), &mut |_, _| {}).unwrap();
    answers.into_iter().map(|answer| answer.tokens).collect()
}

/// A base whose values are those of the GGUF file: what llama.cpp computes with.
fn rounded(gguf: &Path, source: &FolderSource, folder: &Path) -> Network {
    let mut reader = File::open(gguf).unwrap();
    let content = Content::read(&mut reader).unwrap();
    let mut read = |official: &str| {
        let part = official.rsplit_once("layers.").map(|(_, rest)| rest.split_once('.').unwrap());
        let name = match (official, part) {
            (_, Some((layer, "input_layernorm.weight"))) => format!("blk.{layer}.attn_norm.weight"),
            (_, Some((layer, "post_attention_layernorm.weight"))) => format!("blk.{layer}.ffn_norm.weight"),
            (_, Some((layer, part))) => {
                let part = part.replace("self_attention.query_key_value", "attn_qkv");
                let part = part.replace("self_attention.dense", "attn_output");
                let part = part.replace("mlp.dense_h_to_4h", "ffn_up").replace("mlp.dense_4h_to_h", "ffn_down");
                format!("blk.{layer}.{part}")
            }
            ("transformer.embedding.word_embeddings.weight", _) => "token_embd.weight".into(),
            ("transformer.encoder.final_layernorm.weight", _) => "output_norm.weight".into(),
            _ => "output.weight".into(),
        };
        let tensor = content.tensor(&mut reader, &name, &Device::Cpu).unwrap();
        floats(&tensor.dequantize(&Device::Cpu).unwrap())
    };
    let tensors = layout::tensors(source.config()).into_iter();
    let tensors = tensors.map(|(name, shape)| NewTensor { name, dtype: ElementType::F32, shape }).collect();
    let shards = Shards::plan(tensors, FileFormat::Safetensors, u64::MAX);
    let bytes = |index: usize, out: &mut dyn std::io::Write| {
        let values = read(&shards.tensors()[index].name);
        out.write_all(&values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
    };
    shards.write(folder, &mut { bytes }).unwrap();
    let config = Value::Object(source.config().raw.clone());
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    Network::load(folder, LoadOptions::default(), &mut |_, _| {}).unwrap()
}

/// One turn of a chat, or two.
fn chat(question: &str, history: &[Turn]) -> Value {
    let turn = |(question, answer): &Turn| {
        [json!({"role": "user", "content": question}), json!({"role": "assistant", "content": answer})]
    };
    let past = history.iter().flat_map(turn);
    past.chain([json!({"role": "user", "content": question})]).collect()
}

/// Exports `base` as `kind` and asks both; false when there is no llama.cpp.
fn check(base: &Path, kind: GgufType, most_tokens: usize) -> bool {
    let source = FolderSource::open(base).unwrap();
    let tokenizer = Tokenizer::from_file(&base.join("tokenizer.model"), source.config().variant).unwrap();
    let history = [("你好".to_string(), "你好！".to_string())];
    let cases: Vec<(&str, &[Turn])> =
        QUESTIONS.iter().map(|question| (*question, &[][..])).chain([(QUESTIONS[0], &history[..])]).collect();
    let prompts: Vec<Vec<u32>> =
        cases.iter().map(|(question, history)| prompt::prompt_ids(&tokenizer, question, history, None)).collect();
    let chats: Vec<Value> = cases.iter().map(|(question, history)| chat(question, history)).collect();
    let folder = tempfile::tempdir().unwrap();
    let gguf = folder.path().join("model.gguf");
    let report = export_gguf(&source, base, &gguf, &GgufOptions { kind, name: None }, &mut |_, _| {}).unwrap();
    assert!(report.remarks.is_empty(), "{:?}", report.remarks);
    let request = json!({"prompts": prompts, "max_new_tokens": most_tokens, "chats": chats});
    let Some(found) = llama_cpp(&gguf, &request) else { return false };
    let version = found["version"].as_str().unwrap();
    assert_eq!(id_rows(&found["chat_ids"]), prompts, "{version}: ids of the chats");
    let network = rounded(&gguf, &source, folder.path());
    let ours = answers(&network, &tokenizer, &prompts, most_tokens);
    assert_eq!(id_rows(&found["tokens"]), ours, "{version}, {kind}: against the same rounded weights");
    assert!(ours.iter().any(|ids| ids.len() > 5), "the answers are too short to tell anything");
    if kind != GgufType::Q4_0 {
        let network = Network::load(base, LoadOptions::default(), &mut |_, _| {}).unwrap();
        assert_eq!(ours, answers(&network, &tokenizer, &prompts, most_tokens), "{kind}: against the base itself");
    }
    true
}

#[test]
fn the_demo_base_answers_alike_in_every_type() {
    let base = root().join("crates/glm-demo/assets/base");
    for kind in [GgufType::F16, GgufType::Q8_0, GgufType::Q4_0] {
        if !check(&base, kind, 40) {
            return;
        }
    }
}

#[test]
fn a_chatglm3_with_long_positions_answers_alike() {
    let room = tempfile::tempdir().unwrap();
    let vocabulary = room.path().join("tokenizer.model");
    std::fs::copy(fixture("tiny-tokenizer/tokenizer.model"), &vocabulary).unwrap();
    let tokens = Tokenizer::from_file(&vocabulary, Variant::ChatGlm3).unwrap().vocab_size();
    write_random_base(room.path(), tokens + 7, 11);
    let path = room.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["_name_or_path"] = json!("chatglm3-6b-32k");
    config["rope_ratio"] = json!(50);
    std::fs::write(&path, config.to_string()).unwrap();
    // Few tokens: a random base is never sure of the next one, and half precision in the cache decides some day.
    check(room.path(), GgufType::F16, 8);
}
