//! Generation against transformers, for every variant: greedy and beam search ids with the bare base, with prefixes and with
//! LoRA, and the distributions that sampling draws from.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use glm_data::Batch;
use glm_infer::GenerationConfig;
use glm_infer::decode::distribution;
use glm_model::adapter::{AdapterSlots, LoadedAdapter, open};
use glm_model::{AdapterInputs, Network};
use glm_testkit::{Golden, fixture, json};
use serde_json::Value;
use support::{AS_STORED, check_beams, check_greedy, encoder, floats, ids, network, positions};

/// Everything that the fixtures hold of one base.
fn check_base(base: &str) {
    let network = network(&format!("{base}/model"), AS_STORED);
    let meta = json(&format!("{base}/generate.json"));
    let bare = AdapterSlots::default();
    check_greedy(&network, &bare, None, &meta["generation"], &meta);
    check_beams(&network, &bare, None, &meta["generation"], &meta);
    check_distributions(&network, &meta["sampling"]);
    check_prefixes(&network, base, &meta);
    check_lora(&network, base, &meta);
}

fn check_distributions(network: &Network, entries: &Value) {
    let entries = entries.as_array().unwrap();
    assert!(!entries.is_empty());
    for entry in entries {
        let prompt = ids(&entry["input_ids"]);
        let setting = |key: &str, default: f64| entry["settings"][key].as_f64().unwrap_or(default);
        let config = GenerationConfig {
            temperature: setting("temperature", 1.0) as f32,
            top_p: setting("top_p", 1.0) as f32,
            top_k: setting("top_k", 50.0) as usize,
            repetition_penalty: setting("repetition_penalty", 1.0) as f32,
            ..GenerationConfig::default()
        };
        let mut batch = Batch::default();
        batch.push(&prompt, 0, positions(network, &prompt), None, 0);
        let hidden = network.forward(&batch, &AdapterInputs::default()).unwrap();
        let logits = floats(&network.logits(&hidden.narrow(0, prompt.len() - 1, 1).unwrap()).unwrap());
        let found = distribution(&logits, &prompt, 0, &config).unwrap();
        let expected = entry["probs"].as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{}", entry["settings"]);
        for ((id, probability), expected) in found.iter().zip(expected) {
            assert_eq!(u64::from(*id), expected[0].as_u64().unwrap(), "{}", entry["settings"]);
            let difference = f64::from(*probability) - expected[1].as_f64().unwrap();
            assert!(difference.abs() < 1e-5, "{} token {id}: {difference}", entry["settings"]);
        }
    }
}

fn check_prefixes(network: &Network, base: &str, general: &Value) {
    let files = ["noproj", "proj"].map(|kind| format!("{base}/ptuning-{kind}"));
    let files: Vec<_> = files.iter().filter(|file| fixture(&format!("{file}.json")).is_file()).collect();
    assert!(!files.is_empty(), "{base} has no prefix");
    for file in files {
        let (golden, meta) = (Golden::open(&format!("{file}.safetensors")), json(&format!("{file}.json")));
        let slots = AdapterSlots::default();
        let slot = Some(slots.add(&encoder(network, &meta, &golden)).unwrap());
        check_greedy(network, &slots, slot, &meta["generation"], general);
        check_beams(network, &slots, slot, &meta["generation"], general);
    }
}

fn check_lora(network: &Network, base: &str, general: &Value) {
    for kind in ["qkv", "all"] {
        let file = format!("{base}/lora/{kind}.json");
        if !fixture(&file).is_file() {
            eprintln!("skipped: {file} is absent");
            continue;
        }
        let meta = json(&file);
        if meta["generation"].is_null() {
            eprintln!("skipped: {file} holds no generation");
            continue;
        }
        let adapter = open(&fixture(&format!("{base}/lora/adapter-{kind}"))).unwrap().load(network.config()).unwrap();
        let LoadedAdapter::Lora(adapter) = adapter else { panic!("{kind} is no LoRA") };
        let slots = AdapterSlots::default();
        let slot = Some(slots.add_lora(&adapter));
        check_greedy(network, &slots, slot, &meta["generation"], general);
        check_beams(network, &slots, slot, &meta["generation"], general);
    }
}

#[test]
fn chatglm() {
    check_base("glm1-tiny");
}

#[test]
fn chatglm2() {
    check_base("glm2-tiny");
}

#[test]
fn chatglm3() {
    check_base("glm3-tiny");
}
