//! Which folder is which member of the family, and what is refused.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

use glm_data::Variant;
use glm_model::GlmConfig;
use glm_model::variant::{Residual, Rotary, published};
use serde_json::{Map, Value, json};
use std::fs;

fn changed(variant: Variant, changes: &[(&str, Value)]) -> Map<String, Value> {
    let mut raw = published(variant);
    changes.iter().for_each(|(key, value)| drop(raw.insert((*key).into(), value.clone())));
    raw
}

fn refused(raw: Map<String, Value>, parts: &[&str]) {
    let error = GlmConfig::from_raw(raw).expect_err("the configuration is none of ours");
    parts.iter().for_each(|part| assert!(error.contains(part), "expected {part:?} in {error}"));
}

#[test]
fn published_configurations_are_recognised() {
    for variant in Variant::ALL {
        let config = GlmConfig::from_raw(published(variant)).unwrap();
        assert_eq!(config.variant, variant);
        assert_eq!((config.hidden_size, config.num_layers, config.head_dim), (4096, 28, 128));
    }
    let first = GlmConfig::from_raw(published(Variant::ChatGlm)).unwrap();
    assert_eq!((first.vocab_size, first.kv_groups, first.fused_width()), (130_528, 32, 12288));
    // √56 at any depth, as the official model has it.
    let shallow = GlmConfig::from_raw(changed(Variant::ChatGlm, &[("num_layers", 2.into())])).unwrap();
    assert_eq!(shallow.knobs.residual, Residual::Normed { alpha: 56f32.sqrt() });
}

#[test]
fn long_contexts_change_the_base_of_the_frequencies() {
    let long = GlmConfig::from_raw(changed(Variant::ChatGlm3, &[("rope_ratio", 50.into())])).unwrap();
    assert_eq!(long.knobs.rotary, Rotary::HalfOfHead { base: 500_000.0 });
    assert_eq!(long.variant, Variant::ChatGlm3);
}

/// The keys that CodeGeeX2-6B's folder has beside ChatGLM2's.
#[test]
fn codegeex2_is_a_chatglm2() {
    let keys = [
        ("_name_or_path", json!("THUDM/codegeex2-6b")),
        ("interleaved_qkv", json!(false)),
        ("rotary_percent", json!(0.5)),
        ("torch_dtype", json!("bfloat16")),
        ("seq_length", json!(8192)),
    ];
    let config = GlmConfig::from_raw(changed(Variant::ChatGlm2, &keys)).unwrap();
    assert_eq!((config.variant, config.seq_length), (Variant::ChatGlm2, 8192));
    let plain = GlmConfig::from_raw(published(Variant::ChatGlm2)).unwrap();
    assert_eq!(config.knobs, plain.knobs);
    refused(changed(Variant::ChatGlm2, &[("rotary_percent", json!(1.0))]), &["rotary_percent is 1", "0.5"]);
    refused(changed(Variant::ChatGlm2, &[("interleaved_qkv", json!(true))]), &["interleaved_qkv"]);
}

#[test]
fn chatglm3_is_known_by_its_name_or_its_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let raw = changed(Variant::ChatGlm2, &[("_name_or_path", name.into())]);
        fs::write(folder.path().join("config.json"), serde_json::to_string(&raw).unwrap()).unwrap();
        GlmConfig::read(folder.path()).unwrap().variant
    };
    assert_eq!(write("/models/chatglm3-6b/checkpoint-100"), Variant::ChatGlm3);
    assert_eq!(write("/chatglm3-trials/chatglm2-6b"), Variant::ChatGlm2);
    assert_eq!(write("my-model"), Variant::ChatGlm2);
    fs::write(folder.path().join("tokenizer_config.json"), r#"{"added": "<|observation|>"}"#).unwrap();
    assert_eq!(write("my-model"), Variant::ChatGlm3);
}

#[test]
fn strangers_are_called_by_their_name() {
    let of = |model_type: &str| Map::from_iter([("model_type".to_string(), Value::from(model_type))]);
    refused(of("llama"), &["a LLaMA model", "ChatGLM2"]);
    refused(of("glm4"), &["GLM-4"]);
    refused(of("bert"), &["no ChatGLM model", "bert"]);
    refused(Map::new(), &["model_type is absent"]);
    refused(of("chatglm"), &["position_encoding_2d", "padded_vocab_size"]);
    refused(changed(Variant::ChatGlm3, &[("padded_vocab_size", 151_552.into())]), &["GLM-4 folder", "151552"]);
    refused(changed(Variant::ChatGlm, &[("image_length", 32.into())]), &["images", "image_length"]);
}

#[test]
fn settings_of_the_first_generation_that_are_not_supported() {
    let first = |key: &'static str, value: Value| changed(Variant::ChatGlm, &[(key, value)]);
    refused(first("position_encoding_2d", false.into()), &["position_encoding_2d is false"]);
    refused(first("quantization_embeddings", true.into()), &["quantization_embeddings is true"]);
    refused(first("tie_word_embeddings", false.into()), &["tie_word_embeddings is false"]);
    refused(first("quantization_bit", 3.into()), &["quantization_bit is 3", "4 or 8"]);
    refused(first("quantization_bit", "4".into()), &["quantization_bit is \"4\""]);
    refused(first("num_attention_heads", 33.into()), &["hidden_size 4096", "num_attention_heads 33"]);
    refused(first("hidden_size", 96.into()), &["hidden_size 96"]);
    refused(first("gmask_token_id", 130_528.into()), &["gmask_token_id", "130528"]);
    refused(first("bos_token_id", (-1).into()), &["bos_token_id is -1"]);
    refused(first("layernorm_epsilon", 0.into()), &["layernorm_epsilon"]);
    refused(first("vocab_size", Value::Null), &["vocab_size"]);
}
