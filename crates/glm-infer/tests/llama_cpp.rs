//! Exported GGUF files in a real llama.cpp: it loads them, splits texts and chats into the same ids, and answers with the
//! same greedy ids. Needs Python with xllamacpp or llama-cpp-python (`GLM_PYTHON` names another interpreter); skipped with a
//! printed reason without them.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use candle_core::Device;
use candle_core::quantized::gguf_file::Content;
use glm_data::{Tokenizer, Variant, prompt};
use glm_infer::{Engine, GenerationConfig, Request, SpecialIds};
use glm_model::adapter::AdapterSlots;
use glm_model::export::{FolderSource, GgufOptions, GgufType, export_gguf};
use glm_model::glm::layout;
use glm_model::weights::{ElementType, FileFormat, NewTensor, Shards};
use glm_model::{LoadOptions, Network};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use support::{floats, greedy, id_rows};

/// Exit code of the script when no llama.cpp is installed.
const ABSENT: i32 = 77;
const MOST_TOKENS: usize = 40;
const QUESTIONS: [&str; 5] =
    ["类型#上衣*材质#棉*颜色#白色", "你好", "类型#裙*风格#简约", "hello, world", "类型#裤*版型#宽松*图案#条纹"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn base() -> PathBuf {
    root().join("crates/glm-demo/assets/base")
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

fn answers(network: &Network, tokenizer: &Tokenizer, prompts: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let config: GenerationConfig = greedy(MOST_TOKENS);
    let requests: Vec<Request> = prompts.iter().map(|ids| Request::new(ids.clone(), None, &config)).collect();
    let prefixes = AdapterSlots::default();
    let engine = Engine::new(network, &prefixes, SpecialIds::of(tokenizer));
    let answers = engine.generate(&requests, &config, &AtomicBool::new(false), &mut |_, _| {}).unwrap();
    answers.into_iter().map(|answer| answer.tokens).collect()
}

/// A base whose values are those of the GGUF file: what llama.cpp computes with.
fn rounded(gguf: &Path, source: &FolderSource, folder: &Path) -> Network {
    use glm_model::export::TensorSource;
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
    std::fs::copy(base().join("config.json"), folder.join("config.json")).unwrap();
    Network::load(folder, LoadOptions::default(), &mut |_, _| {}).unwrap()
}

#[test]
fn llama_cpp_answers_with_the_same_greedy_ids() {
    let source = FolderSource::open(&base()).unwrap();
    let tokenizer = Tokenizer::from_file(&base().join("tokenizer.model"), Variant::ChatGlm2).unwrap();
    let network = Network::load(&base(), LoadOptions::default(), &mut |_, _| {}).unwrap();
    let history = vec![("你好".to_string(), "你好！".to_string())];
    let text = |question, history: &[_]| {
        prompt::build_prompt(Variant::ChatGlm2, question, history).expect("ChatGLM2 has a template for texts")
    };
    let mut texts: Vec<String> = QUESTIONS.iter().map(|question| text(question, &[])).collect();
    texts.push(text(QUESTIONS[0], &history));
    let prompts: Vec<Vec<u32>> = texts.iter().map(|text| tokenizer.encode_prompt(text)).collect();
    let mut chats: Vec<Value> =
        QUESTIONS.iter().map(|question| json!([{"role": "user", "content": question}])).collect();
    chats.push(json!([
        {"role": "user", "content": history[0].0},
        {"role": "assistant", "content": history[0].1},
        {"role": "user", "content": QUESTIONS[0]},
    ]));
    let texts: Vec<String> = texts.iter().map(|text| format!("[gMASK]sop{text}")).collect();
    let request = json!({"prompts": prompts, "max_new_tokens": MOST_TOKENS, "texts": texts, "chats": chats});
    for kind in [GgufType::F16, GgufType::Q8_0, GgufType::Q4_0] {
        let folder = tempfile::tempdir().unwrap();
        let gguf = folder.path().join("demo.gguf");
        let report = export_gguf(&source, &base(), &gguf, &GgufOptions { kind, name: None }, &mut |_, _| {}).unwrap();
        assert!(report.remarks.is_empty(), "{:?}", report.remarks);
        let Some(found) = llama_cpp(&gguf, &request) else { return };
        let version = found["version"].as_str().unwrap();
        assert_eq!(id_rows(&found["text_ids"]), prompts, "{version}: ids of the prompts");
        assert_eq!(found["chat_prompts"], json!(texts), "{version}: prompts of the chats");
        let ours = answers(&rounded(&gguf, &source, folder.path()), &tokenizer, &prompts);
        assert_eq!(id_rows(&found["tokens"]), ours, "{version}, {kind}: against the same rounded weights");
        assert!(ours.iter().any(|ids| ids.len() > 5), "the answers are too short to tell anything");
        if kind != GgufType::Q4_0 {
            assert_eq!(ours, answers(&network, &tokenizer, &prompts), "{kind}: against the base itself");
        }
    }
}
