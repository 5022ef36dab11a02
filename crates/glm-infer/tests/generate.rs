//! What the engine promises beyond the goldens: rows are independent, long prompts come in pieces, every end is handled, bad
//! input is refused by row.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use glm_data::prompt::Role;
use glm_data::{Positions, Tokenizer, Variant};
use glm_infer::decode::DecodeError;
use glm_infer::{Engine, Finish, GenerationConfig, InferError, Request, SpecialIds};
use glm_model::Network;
use glm_model::adapter::AdapterSlots;
use glm_testkit::{fixture, json};
use std::sync::atomic::{AtomicBool, Ordering};
use support::{AS_STORED, greedy, id_rows, network, requests};

static RUNNING: AtomicBool = AtomicBool::new(false);

/// The prompts of the padded batch of ChatGLM2's fixture, without padding.
fn prompts(network: &Network, config: &GenerationConfig) -> (Vec<Request>, SpecialIds) {
    prompts_of("glm2-tiny", network, config)
}

fn prompts_of(base: &str, network: &Network, config: &GenerationConfig) -> (Vec<Request>, SpecialIds) {
    let meta = json(&format!("{base}/generate.json"));
    let rows = id_rows(&meta["generation"]["batch"]["input_ids"]);
    let id = |key: &str| meta[key].as_u64().unwrap() as u32;
    let special = SpecialIds { eos: vec![id("eos_token_id")], pad: id("pad_token_id") };
    (requests(network, &rows, special.pad, None, config), special)
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
fn long_prompts_are_read_in_pieces_where_the_mask_lets_them() {
    for base in ["glm1-tiny", "glm2-tiny"] {
        let network = network(&format!("{base}/model"), AS_STORED);
        let prefixes = AdapterSlots::default();
        let config = greedy(16);
        let (requests, special) = prompts_of(base, &network, &config);
        let mut engine = Engine::new(&network, &prefixes, special);
        let whole = engine.generate(&requests, &config, &RUNNING, &mut |_, _| {}).unwrap();
        for tokens in [0, 1, 3, 8] {
            engine.prefill_tokens = tokens;
            let pieces = engine.generate(&requests, &config, &RUNNING, &mut |_, _| {}).unwrap();
            assert_eq!(pieces, whole, "{base}: {tokens} tokens a pass");
        }
        // The other kind of positions would give wrong answers, not none.
        let wrong = match requests[0].positions {
            Positions::Linear => Positions::Block { context_len: 2, mask_position: 1 },
            Positions::Block { .. } => Positions::Linear,
        };
        let wrong = Request { positions: wrong, source: 6, ..requests[0].clone() };
        let error = engine.generate(&[wrong], &config, &RUNNING, &mut |_, _| {}).unwrap_err();
        assert!(matches!(error, InferError::Positions { row: 7, .. }), "{error}");
    }
}

#[test]
fn answers_end_at_all_end_tokens_of_the_variant() {
    for variant in [Variant::ChatGlm2, Variant::ChatGlm3] {
        let tokenizer = Tokenizer::from_file(&fixture("tiny-tokenizer/tokenizer.model"), variant).unwrap();
        let mut expected = vec![tokenizer.eos_id()];
        expected.extend([Role::User, Role::Observation].into_iter().filter_map(|role| tokenizer.role_id(role)));
        assert_eq!(SpecialIds::of(&tokenizer), SpecialIds { eos: expected, pad: tokenizer.pad_id() });
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
    let prefixes = AdapterSlots::default();
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
