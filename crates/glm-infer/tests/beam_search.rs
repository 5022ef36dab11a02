//! What beam search promises beyond the goldens: scores are the network's own, rows are independent, every end is handled.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use glm_data::Batch;
use glm_infer::decode::log_softmax;
use glm_infer::{Answer, Engine, Finish, GenerationConfig, Request, SpecialIds};
use glm_model::adapter::AdapterSlots;
use glm_model::{AdapterInputs, Network};
use glm_testkit::json;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{AS_STORED, floats, generate, greedy, id_rows, ids, network, requests};

const BASE: &str = "glm2-tiny";

/// The fixture's padded prompts, and its end tokens of the runs that end early.
fn prompts(network: &Network, config: &GenerationConfig) -> (Vec<Request>, SpecialIds) {
    let meta = json(&format!("{BASE}/generate.json"));
    let case = &meta["generation"]["batch"];
    let pad = meta["pad_token_id"].as_u64().unwrap() as u32;
    (
        requests(network, &id_rows(&case["input_ids"]), pad, None, config),
        SpecialIds { eos: ids(&case["eos_many"]), pad },
    )
}

fn beams(num_beams: usize, tokens: usize) -> GenerationConfig {
    GenerationConfig { num_beams, num_return_sequences: num_beams, ..greedy(tokens) }
}

fn all(answer: &Answer) -> impl Iterator<Item = &Answer> {
    std::iter::once(answer).chain(&answer.others)
}

/// The same answers, with scores equal but for rounding, which depends on what else is in a batch.
fn assert_same(found: &[Answer], expected: &[Answer]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!((&found.tokens, found.finish), (&expected.tokens, expected.finish));
        let (a, b) = (found.score.unwrap(), expected.score.unwrap());
        assert!((a - b).abs() <= 1e-5 * b.abs(), "scores {a} and {b}");
        assert_same(&found.others, &expected.others);
    }
}

/// Sum of the log probabilities of `answer` after `prompt`, from one pass over both.
fn log_probability(network: &Network, request: &Request, answer: &[u32]) -> f64 {
    let mut batch = Batch::default();
    batch.push(&[&request.prompt, answer].concat(), 0, request.positions, None, 0);
    let logits = network.logits(&network.forward(&batch, &AdapterInputs::default()).unwrap()).unwrap();
    let rows: Vec<Vec<f32>> =
        floats(&logits).chunks(network.config().vocab_size).skip(request.prompt.len() - 1).map(log_softmax).collect();
    rows.iter().zip(answer).map(|(row, token)| f64::from(row[*token as usize])).sum()
}

#[test]
fn scores_are_those_that_the_network_gives_the_whole_answer() {
    let network = network(&format!("{BASE}/model"), AS_STORED);
    let slots = AdapterSlots::default();
    for (count, tokens, length_penalty) in [(2, 9, 1.0), (3, 17, 0.5), (7, 12, -0.5)] {
        let config = GenerationConfig { length_penalty, ..beams(count, tokens) };
        let (requests, mut special) = prompts(&network, &config);
        // With one end token, which is the one that is put down, the score of every answer can be worked out.
        special.eos.truncate(1);
        let mut engine = Engine::new(&network, &slots, special);
        let answers = generate(&engine, &requests, &config);
        for (request, answer) in requests.iter().zip(&answers) {
            let answers: Vec<&Answer> = all(answer).collect();
            assert_eq!(answers.len(), count);
            assert!(answers.is_sorted_by(|a, b| a.score >= b.score), "best first");
            for answer in answers {
                let length = request.padding + request.prompt.len() + answer.content().len();
                let expected =
                    log_probability(&network, request, &answer.tokens) / (length as f64).powf(length_penalty);
                let error = (answer.score.unwrap() - expected).abs() / expected.abs();
                assert!(error < 1e-4, "{count} beams: relative error {error}");
            }
        }
        engine.prefill_tokens = 3;
        // Prompts read in pieces.
        assert_same(&generate(&engine, &requests, &config), &answers);
    }
}

#[test]
fn more_end_tokens_than_beams_do_not_end_the_search() {
    let network = network(&format!("{BASE}/model"), AS_STORED);
    let slots = AdapterSlots::default();
    let config = beams(2, 6);
    let (requests, special) = prompts(&network, &config);
    let vocabulary = network.config().vocab_size as u32;
    let run = |eos: Vec<u32>| {
        let engine = Engine::new(&network, &slots, SpecialIds { eos, ..special.clone() });
        generate(&engine, &requests, &config)
    };
    // All but three tokens end an answer, so that most of the best candidates do.
    let kept = [5, 6, 7];
    let answers = run((0..vocabulary).filter(|id| !kept.contains(id)).collect());
    for answer in answers.iter().flat_map(all) {
        assert!(answer.content().iter().all(|id| kept.contains(id)));
        assert!(answer.finish == Finish::Length && answer.tokens.len() == 6 || answer.tokens.last() == Some(&0));
    }
    let answers = run((0..vocabulary).rev().collect());
    for answer in answers.iter().flat_map(all) {
        assert_eq!((answer.tokens.as_slice(), answer.finish), ([vocabulary - 1].as_slice(), Finish::Eos));
    }
}

#[test]
fn a_stopped_search_gives_its_best_beams() {
    let network = network(&format!("{BASE}/model"), AS_STORED);
    let slots = AdapterSlots::default();
    let config = beams(3, 5);
    let (requests, mut special) = prompts(&network, &config);
    special.eos.clear();
    let engine = Engine::new(&network, &slots, special);
    let whole = generate(&engine, &requests, &config);
    let mut running = engine.start();
    requests.iter().enumerate().for_each(|(i, request)| running.admit(i, request, &config).unwrap());
    for _ in 0..4 {
        assert!(running.step(&mut |_| panic!("nothing is certain yet")).unwrap().is_empty());
    }
    let short = generate(&engine, &requests_of(&requests, 4), &config);
    for ended in running.cancel() {
        let (i, answer) = (ended.index, ended.answer.unwrap());
        assert_eq!(answer.finish, Finish::Stopped);
        let (stopped, four): (Vec<_>, Vec<_>) = (all(&answer).collect(), all(&short[i]).collect());
        assert_eq!(stopped.len(), 3);
        assert!(stopped.iter().zip(&four).all(|(a, b)| a.tokens == b.tokens));
        assert_eq!((answer.tokens.len(), whole[i].tokens.len()), (4, 5));
    }
    // A flag that is set from the start: nothing was generated.
    let stop = AtomicBool::new(true);
    let answers = engine.generate(&requests, &config, &stop, &mut |_, _| {}).unwrap();
    assert!(answers.iter().all(|answer| answer.finish == Finish::Stopped && answer.tokens.is_empty()));
    stop.store(false, Ordering::Relaxed);
    assert_eq!(engine.generate(&requests, &config, &stop, &mut |_, _| {}).unwrap(), whole);
}

fn requests_of(requests: &[Request], max_new_tokens: usize) -> Vec<Request> {
    requests.iter().cloned().map(|request| Request { max_new_tokens, ..request }).collect()
}

#[test]
fn drawn_beams_depend_on_seed_and_stream_and_not_on_the_batch() {
    let network = network(&format!("{BASE}/model"), AS_STORED);
    let slots = AdapterSlots::default();
    let config = GenerationConfig { do_sample: true, top_p: 0.9, temperature: 0.9, ..beams(3, 10) };
    let (mut requests, mut special) = prompts(&network, &config);
    special.eos.truncate(1);
    requests.iter_mut().enumerate().for_each(|(i, request)| request.stream = i as u64);
    let engine = Engine::new(&network, &slots, special);
    let together = generate(&engine, &requests, &config);
    for (request, answer) in requests.iter().zip(&together) {
        assert_same(&generate(&engine, std::slice::from_ref(request), &config), std::slice::from_ref(answer));
        assert!(all(answer).all(|answer| !answer.tokens.is_empty() && answer.score.unwrap() < 0.0));
    }
    let tokens = |answers: &[Answer]| answers.iter().map(|answer| answer.tokens.clone()).collect::<Vec<_>>();
    let reseeded = generate(&engine, &requests, &GenerationConfig { seed: 43, ..config.clone() });
    assert_ne!(tokens(&reseeded), tokens(&together));
    let others = |request: &Request| Request { stream: request.stream + 9, ..request.clone() };
    let others = generate(&engine, &requests.iter().map(others).collect::<Vec<_>>(), &config);
    assert_ne!(tokens(&others), tokens(&together));
}
