//! Prefixes in slots: logits and decoding steps against the official code, and slots mixed in one batch.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use glm_data::{Batch, Positions};
use glm_infer::{Engine, Request, SpecialIds};
use glm_model::KvCache;
use glm_model::adapter::{AdapterSlots, PrefixFile};
use glm_testkit::{Golden, fixture, json, relative_error};
use std::sync::atomic::AtomicBool;
use support::{AS_STORED, encoder, floats, greedy, id_rows, logits_error, network, real_rows, requests};

const KINDS: [&str; 2] = ["noproj", "proj"];
const TOLERANCE: f64 = 1e-4;

fn golden(kind: &str) -> (Golden, serde_json::Value) {
    let path = format!("glm2-tiny/ptuning-{kind}");
    (Golden::open(&format!("{path}.safetensors")), json(&format!("{path}.json")))
}

#[test]
fn logits_and_decoding_steps_with_a_prefix() {
    let network = network("glm2-tiny/model", AS_STORED);
    for kind in KINDS {
        let (golden, meta) = golden(kind);
        let prefixes = AdapterSlots::default();
        let slot = Some(prefixes.add(&encoder(&network, &meta, &golden)).unwrap());
        for case in ["eval", "eval_single"] {
            let error = logits_error(&network, &prefixes, slot, &golden, case);
            assert!(error < TOLERANCE, "{kind} {case}.logits: {error}");

            let rows = real_rows(&golden, case);
            let mut caches: Vec<KvCache> = rows.iter().map(|_| network.new_cache()).collect();
            let mut forward = |tokens: &[Vec<u32>]| {
                let mut batch = Batch::default();
                tokens
                    .iter()
                    .zip(&caches)
                    .for_each(|(ids, cache)| batch.push(ids, cache.len(), Positions::Linear, slot, 0));
                let mut caches: Vec<&mut KvCache> = caches.iter_mut().collect();
                let past = prefixes.inputs(&batch.segments).unwrap();
                floats(&network.logits(&network.forward_cached(&batch, &past, &mut caches).unwrap()).unwrap())
            };
            forward(&rows.iter().map(|(ids, _)| ids.clone()).collect::<Vec<_>>());
            let mut steps = 0;
            while golden.has(&format!("{case}.step{}.logits", steps + 1)) {
                steps += 1;
                let name = format!("{case}.step{steps}");
                let tokens = golden.integer_rows(&format!("{name}.input_ids"));
                let tokens: Vec<Vec<u32>> =
                    tokens.iter().map(|row| row.iter().map(|id| *id as u32).collect()).collect();
                let error = relative_error(&forward(&tokens), golden.floats(&format!("{name}.logits")).1);
                assert!(error < TOLERANCE, "{kind} {name}: {error}");
            }
            assert!(steps > 0, "{kind} {case} has no decoding steps");
        }
    }
}

#[test]
fn the_official_checkpoints_are_found_out_and_answer() {
    let network = network("glm2-tiny/model", AS_STORED);
    for kind in KINDS {
        let (_, meta) = golden(kind);
        let file = PrefixFile::open(&fixture(&format!("glm2-tiny/ptuning-{kind}-checkpoint"))).unwrap();
        assert_eq!(file.pre_seq_len() as u64, meta["pre_seq_len"].as_u64().unwrap());
        assert_eq!(file.prefix_projection(), meta["prefix_projection"].as_bool().unwrap());
        let prefixes = AdapterSlots::default();
        let slot = Some(prefixes.add(&file.load(network.config(), None, None).unwrap()).unwrap());
        let rows = id_rows(&meta["generation"]["batch"]["input_ids"]);
        let engine = Engine::new(&network, &prefixes, SpecialIds { eos: vec![2], pad: 0 });
        let config = greedy(4);
        let run = |slot| {
            let requests = requests(&network, &rows, 0, slot, &config);
            engine.generate(&requests, &config, &AtomicBool::new(false), &mut |_, _| {}).unwrap()
        };
        assert_ne!(run(slot), run(None), "{kind}: the prefix changes nothing");
    }
}

#[test]
fn a_mixed_batch_answers_as_each_row_alone() {
    let network = network("glm2-tiny/model", AS_STORED);
    let prefixes = AdapterSlots::default();
    let mut rows = Vec::new();
    let mut slots = vec![None];
    for kind in KINDS {
        let (golden, meta) = golden(kind);
        slots.push(Some(prefixes.add(&encoder(&network, &meta, &golden)).unwrap()));
        rows = id_rows(&meta["generation"]["batch"]["input_ids"]);
    }
    let config = greedy(20);
    let engine = Engine::new(&network, &prefixes, SpecialIds { eos: vec![2], pad: 0 });
    let run =
        |requests: &[Request]| engine.generate(requests, &config, &AtomicBool::new(false), &mut |_, _| {}).unwrap();
    let mut mixed: Vec<Request> =
        slots.iter().rev().flat_map(|slot| requests(&network, &rows, 0, *slot, &config)).collect();
    // Answers of unequal length: slots go out of use one after another while the batch runs.
    mixed.iter_mut().enumerate().for_each(|(i, request)| request.max_new_tokens = 20 - 2 * i);
    let together = run(&mixed);
    for (request, answer) in mixed.iter().zip(&together) {
        assert_eq!(run(std::slice::from_ref(request))[0], *answer, "slot {:?}", request.slot);
    }
    let same_prompt: Vec<_> = together.iter().step_by(rows.len()).map(|a| a.tokens[..6].to_vec()).collect();
    assert_eq!(same_prompt.len(), 3);
    assert!(same_prompt[0] != same_prompt[1] && same_prompt[1] != same_prompt[2] && same_prompt[0] != same_prompt[2]);

    // Rows may also join while others are in progress.
    let mut running = engine.start();
    let mut late = vec![None; mixed.len()];
    let mut waiting = mixed.iter().enumerate();
    loop {
        if let Some((index, request)) = waiting.next() {
            running.admit(index, request, &config).unwrap();
        }
        if running.is_empty() {
            break;
        }
        running
            .step(&mut |_| {})
            .unwrap()
            .into_iter()
            .for_each(|ended| late[ended.index] = Some(ended.answer.unwrap()));
    }
    assert_eq!(late.into_iter().flatten().collect::<Vec<_>>(), together);
}
