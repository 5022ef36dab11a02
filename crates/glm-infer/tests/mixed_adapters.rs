//! Answers of one batch whose rows use the bare base, prefixes and LoRA: each as if it were alone, while rows come and go.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use glm_infer::{Answer, Engine, Request, SpecialIds};
use glm_model::adapter::{AdapterSlots, open};
use glm_testkit::{fixture, json};
use std::collections::BTreeSet;
use support::{AS_STORED, generate, greedy, id_rows, network, requests};

#[test]
fn rows_of_every_adapter_answer_as_alone() {
    for base in ["glm1-tiny", "glm2-tiny"] {
        let network = network(&format!("{base}/model"), AS_STORED);
        let meta = json(&format!("{base}/generate.json"));
        let id = |key: &str| meta[key].as_u64().unwrap() as u32;
        let slots = AdapterSlots::default();
        let mut used = vec![None];
        for adapter in ["ptuning-noproj-checkpoint", "lora/adapter-all", "ptuning-proj-checkpoint", "lora/adapter-qkv"]
        {
            let adapter = open(&fixture(&format!("{base}/{adapter}"))).unwrap().load(network.config()).unwrap();
            used.push(Some(slots.add_loaded(&adapter).unwrap()));
        }
        assert_eq!(slots.len(), 4);
        let config = greedy(id("max_new_tokens") as usize);
        let special = SpecialIds { eos: vec![id("eos_token_id")], pad: id("pad_token_id") };
        let engine = Engine::new(&network, &slots, special);
        let prompts = id_rows(&meta["generation"]["batch"]["input_ids"]);
        let all: Vec<Request> =
            used.iter().flat_map(|slot| requests(&network, &prompts, id("pad_token_id"), *slot, &config)).collect();
        let alone: Vec<Answer> =
            all.iter().flat_map(|request| generate(&engine, std::slice::from_ref(request), &config)).collect();
        assert!(
            alone.iter().map(|a| &a.tokens).collect::<BTreeSet<_>>().len() > prompts.len(),
            "slots make a difference"
        );
        assert_eq!(generate(&engine, &all, &config), alone, "{base} together");

        // A row comes in at every step, so that the adapters in use change all the time.
        let mut running = engine.start();
        let (mut waiting, mut answers) = (all.iter().enumerate().rev(), vec![None; all.len()]);
        loop {
            match waiting.next() {
                Some((index, request)) => running.admit(index, request, &config).unwrap(),
                None if running.is_empty() => break,
                None => {}
            }
            for ended in running.step(&mut |_| {}).unwrap() {
                answers[ended.index] = Some(ended.answer.unwrap());
            }
        }
        assert_eq!(answers.into_iter().flatten().collect::<Vec<_>>(), alone, "{base} one after another");
    }
}
