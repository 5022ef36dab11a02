//! Generation with the bare base against transformers: greedy ids, end tokens, penalty, sampling distributions; and what
//! the engine promises beyond that.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use glm_data::{Batch, Positions};
use glm_infer::decode::{DecodeError, distribution};
use glm_infer::{Engine, Finish, GenerationConfig, InferError, Request, SpecialIds};
use glm_model::adapter::AdapterSlots;
use glm_model::{AdapterInputs, Network};
use glm_testkit::json;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{AS_STORED, check_beams, check_greedy, floats, greedy, id_rows, ids, network, requests};

static RUNNING: AtomicBool = AtomicBool::new(false);

#[test]
fn greedy_ids_equal_the_official_ones() {
    let meta = json("glm2-tiny/generate.json");
    let network = network("glm2-tiny/model", AS_STORED);
    check_greedy(&network, &AdapterSlots::default(), None, &meta["generation"], &meta);
}

#[test]
fn beam_search_ids_and_scores_equal_the_official_ones() {
    let meta = json("glm2-tiny/generate.json");
    let network = network("glm2-tiny/model", AS_STORED);
    check_beams(&network, &AdapterSlots::default(), None, &meta["generation"], &meta);
}

#[test]
fn sampling_distributions_equal_the_official_ones() {
    let meta = json("glm2-tiny/generate.json");
    let network = network("glm2-tiny/model", AS_STORED);
    let entries = meta["sampling"].as_array().unwrap();
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
        batch.push(&prompt, 0, Positions::Linear, None, 0);
        let hidden = network.forward(&batch, &AdapterInputs::default()).unwrap();
        let logits = floats(&network.logits(&hidden.narrow(0, prompt.len() - 1, 1).unwrap()).unwrap());
        let found = distribution(&logits, &prompt, &config).unwrap();
        let expected = entry["probs"].as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{}", entry["settings"]);
        for ((id, probability), expected) in found.iter().zip(expected) {
            assert_eq!(u64::from(*id), expected[0].as_u64().unwrap(), "{}", entry["settings"]);
            let difference = f64::from(*probability) - expected[1].as_f64().unwrap();
            assert!(difference.abs() < 1e-5, "{} token {id}: {difference}", entry["settings"]);
        }
    }
}

/// The prompts of the padded batch, without padding.
fn prompts(network: &Network, config: &GenerationConfig) -> (Vec<Request>, SpecialIds) {
    let meta = json("glm2-tiny/generate.json");
    let rows = id_rows(&meta["generation"]["batch"]["input_ids"]);
    (requests(network, &rows, 0, None, config), SpecialIds { eos: vec![2], pad: 0 })
}

#[test]
fn samples_depend_on_seed_and_stream_and_not_on_the_batch() {
    let network = network("glm2-tiny/model", AS_STORED);
    let prefixes = AdapterSlots::default();
    let config = GenerationConfig { max_new_tokens: Some(12), top_p: 1.0, ..GenerationConfig::default() };
    let (mut requests, special) = prompts(&network, &config);
    requests.iter_mut().enumerate().for_each(|(i, request)| request.stream = i as u64);
    let engine = Engine::new(&network, &prefixes, special);
    let run = |requests: &[Request], config: &GenerationConfig| {
        engine.generate(requests, config, &RUNNING, &mut |_, _| {}).unwrap()
    };
    let together = run(&requests, &config);
    for (request, answer) in requests.iter().zip(&together) {
        assert_eq!(run(std::slice::from_ref(request), &config), std::slice::from_ref(answer));
    }
    let reseeded = run(&requests, &GenerationConfig { seed: 43, ..config.clone() });
    assert_ne!(reseeded, together);
    let mut other = requests[0].clone();
    other.stream = 9;
    assert_ne!(run(&[other], &config)[0], together[0]);
}

#[test]
fn long_prompts_are_read_in_pieces() {
    let network = network("glm2-tiny/model", AS_STORED);
    let prefixes = AdapterSlots::default();
    let config = greedy(16);
    let (requests, special) = prompts(&network, &config);
    let mut engine = Engine::new(&network, &prefixes, special);
    let whole = engine.generate(&requests, &config, &RUNNING, &mut |_, _| {}).unwrap();
    for tokens in [0, 1, 3, 8] {
        engine.prefill_tokens = tokens;
        let pieces = engine.generate(&requests, &config, &RUNNING, &mut |_, _| {}).unwrap();
        assert_eq!(pieces, whole, "{tokens} tokens a pass");
    }
}

#[test]
fn answers_end_by_length_and_by_the_stop_flag() {
    let network = network("glm2-tiny/model", AS_STORED);
    let prefixes = AdapterSlots::default();
    let config = GenerationConfig { max_length: 16, do_sample: false, ..GenerationConfig::default() };
    let (mut requests, special) = prompts(&network, &config);
    let engine = Engine::new(&network, &prefixes, special);
    // max_length counts the padding: all rows of a batch may get equally many tokens.
    let padded = id_rows(&json("glm2-tiny/generate.json")["generation"]["batch"]["input_ids"])[0].len();
    let answers = engine.generate(&requests, &config, &RUNNING, &mut |_, _| {}).unwrap();
    assert!(
        answers.iter().all(|a| a.finish == Finish::Length && a.tokens.len() == 16usize.saturating_sub(padded).max(1))
    );
    assert_eq!(config.answer_limit(16), 1, "one token even where there is no room");

    requests.iter_mut().for_each(|request| request.max_new_tokens = 1000);
    let stop = AtomicBool::new(false);
    let mut seen = 0;
    let answers = engine
        .generate(&requests, &config, &stop, &mut |row, _| {
            seen += usize::from(row == 0);
            stop.store(seen == 3, Ordering::Relaxed);
        })
        .unwrap();
    assert!(answers.iter().all(|a| a.finish == Finish::Stopped && a.tokens.len() == 3 && a.content() == a.tokens));
    assert!(engine.generate(&[], &config, &RUNNING, &mut |_, _| {}).unwrap().is_empty());
}

#[test]
fn what_cannot_be_answered_is_refused_by_row() {
    let network = network("glm2-tiny/model", AS_STORED);
    let mut prefixes = AdapterSlots::default();
    let broken = glm_model::adapter::PrefixConfig::new(network.config(), 2, false);
    let slot = prefixes
        .add(&glm_model::adapter::PrefixEncoder::from_values(broken, |_, n| vec![f32::NAN; n]).unwrap())
        .unwrap();
    let config = greedy(4);
    let (mut requests, special) = prompts(&network, &config);
    let engine = Engine::new(&network, &prefixes, special);
    let refusal = |requests: &[Request], config: &GenerationConfig| {
        engine.generate(requests, config, &RUNNING, &mut |_, _| {}).unwrap_err()
    };
    requests.iter_mut().enumerate().for_each(|(i, request)| request.source = 40 + i);

    requests[1].slot = Some(slot);
    let error = refusal(&requests, &config);
    assert!(matches!(&error, InferError::Row { row: 42, source: DecodeError::AtStep { step: 1, .. } }), "{error}");
    assert!(error.to_string().starts_with("row 42 (counted from 1): at token 1 of the answer: "), "{error}");

    requests[1].slot = Some(slot + 1);
    assert!(refusal(&requests, &config).to_string().contains("slot"));
    requests[1].slot = None;
    let outside = network.config().vocab_size as u32;
    requests[1].prompt[0] = outside;
    assert!(refusal(&requests, &config).to_string().contains(&outside.to_string()));
    requests[1].prompt.clear();
    assert!(matches!(refusal(&requests, &config), InferError::EmptyPrompt { row: 42 }));
    let cold = GenerationConfig { do_sample: true, temperature: 0.0, ..config };
    assert!(refusal(&requests[..1], &cold).to_string().contains("temperature"));
}
