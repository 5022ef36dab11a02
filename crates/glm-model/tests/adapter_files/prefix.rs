//! Prefixes of every origin.

use crate::support::{Tensors, base, read, refused, write};
use glm_model::GlmConfig;
use glm_model::adapter::{AdapterFile, LoadedAdapter, PrefixEncoder, open};
use glm_model::weights::ElementType;
use glm_testkit::fixture;
use serde_json::json;
use std::fs;
use std::path::Path;

const FOLDERS: [&str; 2] = ["glm1-tiny", "glm2-tiny"];

fn checkpoint(folder: &str, kind: &str) -> Tensors {
    read(&fixture(&format!("{folder}/ptuning-{kind}-checkpoint/pytorch_model.bin")))
}

fn load(path: &Path, base: &GlmConfig) -> PrefixEncoder {
    match open(path).unwrap().load(base).unwrap() {
        LoadedAdapter::Prefix(encoder) => encoder,
        LoadedAdapter::Lora(_) => panic!("{} is taken for LoRA", path.display()),
    }
}

fn values(encoder: &PrefixEncoder) -> Vec<f32> {
    encoder.key_values().unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn whatever_the_file_and_the_tensors_are_called() {
    type Rename = fn(&str) -> String;
    let renames: [Rename; 4] = [
        |name| name.to_owned(),
        |name| name.replace("transformer.prefix_encoder.", ""),
        |name| name.replace("transformer.", ""),
        |name| format!("module.{name}"),
    ];
    for folder in FOLDERS {
        let base = base(folder);
        for kind in ["noproj", "proj"] {
            let tensors = checkpoint(folder, kind);
            let expected = values(&load(&fixture(&format!("{folder}/ptuning-{kind}-checkpoint")), &base));
            for rename in renames {
                let renamed: Tensors = tensors.iter().map(|(name, t)| (rename(name), t.clone())).collect();
                for file in ["pytorch_model.bin", "adapter.safetensors", "prefix.pt", "model.safetensors", "my.bin"] {
                    let dir = tempfile::tempdir().unwrap();
                    write(&dir.path().join(file), &renamed, ElementType::F32);
                    // Files of the official trainer that lie beside it and are no weights.
                    fs::write(dir.path().join("optimizer.pt"), "x").unwrap();
                    fs::write(dir.path().join("rng_state_0.pth"), "x").unwrap();
                    assert_eq!(values(&load(dir.path(), &base)), expected, "{folder} {kind} {file}");
                    assert_eq!(values(&load(&dir.path().join(file), &base)), expected);
                }
            }
        }
    }
}

#[test]
fn a_whole_model_with_its_prefix_inside_is_an_adapter() {
    for folder in FOLDERS {
        let base = base(folder);
        let mut whole = read(&fixture(&format!("{folder}/model-safetensors")));
        let prefix = checkpoint(folder, "noproj");
        whole.extend(prefix.clone());
        for (file, dtype) in [("pytorch_model.bin", ElementType::F16), ("model.safetensors", ElementType::F32)] {
            let dir = tempfile::tempdir().unwrap();
            write(&dir.path().join(file), &whole, dtype);
            assert!(matches!(open(dir.path()).unwrap(), AdapterFile::Prefix(_)));
            let found = values(&load(dir.path(), &base));
            let expected = &prefix.values().next().unwrap().1;
            let near = |(f, e): (&f32, &f32)| (f - e).abs() <= 1e-3 * e.abs().max(1e-3);
            assert!(found.len() == expected.len() && found.iter().zip(expected).all(near), "{folder} {file}");
        }
        refused(&fixture(&format!("{folder}/model-safetensors")), &base, &["whole model", "--model_name_or_path"]);
    }
}

/// Most memory that was ever resident, in MiB; `None` where the system does not say.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

#[test]
fn of_a_large_model_only_the_prefix_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let base = base(FOLDERS[0]);
    let (_, (shape, prefix)) = checkpoint(FOLDERS[0], "noproj").into_iter().next().unwrap();
    // A file of 8 GiB with nothing in it but the header and, at its end, the prefix.
    let (zeros, bytes) = (8u64 << 30, 4 * prefix.len() as u64);
    let header = json!({
        "transformer.embedding.word_embeddings.weight":
            {"dtype": "F16", "shape": [zeros / 8192, 4096], "data_offsets": [0, zeros]},
        "transformer.prefix_encoder.embedding.weight":
            {"dtype": "F32", "shape": shape, "data_offsets": [zeros, zeros + bytes]},
    })
    .to_string();
    let path = dir.path().join("model.safetensors");
    let mut file = fs::File::create(&path).unwrap();
    use std::io::{Seek, SeekFrom, Write};
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.seek(SeekFrom::Current(zeros as i64)).unwrap();
    file.write_all(&prefix.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    drop(file);
    assert_eq!(values(&load(dir.path(), &base)), prefix);
    assert!(peak_memory().is_none_or(|peak| peak < 1024), "{:?} MiB", peak_memory());
}

#[test]
fn prefixes_of_peft_are_taken_over_row_by_row() {
    for folder in FOLDERS {
        let base = base(folder);
        let (shape, prefix) = checkpoint(folder, "noproj").into_values().next().unwrap();
        let wide = base.key_value_width() / 2;
        let config = json!({
            "peft_type": "PREFIX_TUNING", "task_type": "CAUSAL_LM", "num_virtual_tokens": shape[0],
            "num_layers": base.num_layers, "token_dim": wide, "num_attention_heads": base.kv_groups,
            "num_transformer_submodules": 1, "prefix_projection": false, "encoder_hidden_size": wide,
            "inference_mode": true, "base_model_name_or_path": "base",
        });
        let folder_with = |config: &serde_json::Value, shape: &[usize], values: &[f32]| {
            let dir = tempfile::tempdir().unwrap();
            let tensors = Tensors::from([("prompt_embeddings".into(), (shape.to_vec(), values.to_vec()))]);
            write(&dir.path().join("adapter_model.bin"), &tensors, ElementType::F32);
            fs::write(dir.path().join("adapter_config.json"), config.to_string()).unwrap();
            dir
        };
        assert_eq!(values(&load(folder_with(&config, &shape, &prefix).path(), &base)), prefix);
        // Beside: every setting that contradicts the tensor, and a prefix for every query head of the base.
        for (key, value) in
            [("num_virtual_tokens", 1), ("num_layers", 77), ("token_dim", 1), ("num_transformer_submodules", 2)]
        {
            let mut other = config.clone();
            other[key] = json!(value);
            refused(folder_with(&other, &shape, &prefix).path(), &base, &[key]);
        }
        let mut ungrouped = config.clone();
        ungrouped["token_dim"] = json!(base.hidden_size);
        let shape = [shape[0], 2 * base.num_layers * base.hidden_size];
        if shape[1] != base.num_layers * base.key_value_width() {
            let dir = folder_with(&ungrouped, &shape, &vec![0.5; shape[0] * shape[1]]);
            refused(dir.path(), &base, &[&shape[1].to_string(), "every head"]);
        }
        let mut prompts = config.clone();
        prompts["peft_type"] = json!("P_TUNING");
        refused(folder_with(&prompts, &[3, 8], &[0.0; 24]).path(), &base, &["P_TUNING"]);
    }
}

#[test]
fn a_prefix_of_another_base_is_refused_with_both_shapes_and_the_cause() {
    for base in FOLDERS.map(base) {
        let expected = (base.num_layers * base.key_value_width()).to_string();
        for (width, cause) in
            [(229_376, "ChatGLM-6B"), (14_336, "ChatGLM2-6B"), (20_480, "GLM-4"), (12, "another base")]
        {
            let dir = tempfile::tempdir().unwrap();
            let name = "transformer.prefix_encoder.embedding.weight".to_owned();
            let tensors = Tensors::from([(name, (vec![2, width], vec![0.25; 2 * width]))]);
            write(&dir.path().join("pytorch_model.bin"), &tensors, ElementType::F32);
            refused(dir.path(), &base, &[&width.to_string(), &expected, cause]);
        }
    }
}

#[test]
fn folders_that_hold_no_adapter_say_what_they_hold() {
    let base = base(FOLDERS[0]);
    let dir = tempfile::tempdir().unwrap();
    refused(dir.path(), &base, &["no weights", "adapter_model.safetensors"]);
    fs::create_dir(dir.path().join("checkpoint-500")).unwrap();
    fs::create_dir(dir.path().join("checkpoint-1000")).unwrap();
    refused(dir.path(), &base, &["checkpoint-1000"]);
    fs::write(dir.path().join("a.pt"), "x").unwrap();
    fs::write(dir.path().join("b.bin"), "x").unwrap();
    refused(dir.path(), &base, &["several", "a.pt, b.bin"]);
    refused(&dir.path().join("gone"), &base, &["no such file"]);
    refused(&dir.path().join("a.pt"), &base, &["a.pt"]);
}
