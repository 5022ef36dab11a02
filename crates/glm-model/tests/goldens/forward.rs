//! The network against the official code: logits, hidden states, cache and decoding steps of the forward fixtures of every
//! variant.

use crate::support::{FOLDERS, Prompt, network, of_row, packed, positions, real, values};
use glm_data::{Batch, Variant};
use glm_model::glm::{BlockInputs, Network};
use glm_model::{AdapterInputs, Compute, KvCache, LoadOptions};
use glm_testkit::{Golden, fixture, json, largest_difference, relative_error};
use std::ops::Range;

const TOLERANCE: f64 = 2e-5;

fn prompts(network: &Network, golden: &Golden, meta: &serde_json::Value, case: &str) -> Vec<Prompt> {
    let prompts: Vec<Vec<u32>> = serde_json::from_value(meta["cases"][case]["prompts"].clone()).unwrap();
    let padded = golden.integer_rows(&format!("{case}.input_ids"));
    let both = prompts.into_iter().zip(&padded).enumerate();
    both.map(|(row, (ids, padded))| {
        let from = padded.len() - ids.len();
        assert!(ids.iter().zip(&padded[from..]).all(|(a, b)| i64::from(*a) == *b), "{case} row {row}");
        let positions = positions(network, &ids, of_row(golden, &format!("{case}.position_ids"), row));
        Prompt { ids, from, positions }
    })
    .collect()
}

/// Calls `check` for every case of every variant.
fn every_case(model: &str, mut check: impl FnMut(&Network, &Golden, &str, Vec<Prompt>, f32)) {
    for folder in FOLDERS {
        let network = network(&format!("{folder}/{model}"));
        let golden = Golden::open(&format!("{folder}/forward.safetensors"));
        let meta = json(&format!("{folder}/forward.json"));
        for case in meta["cases"].as_object().unwrap().keys() {
            let floor = meta["noise_floor_logits"][case].as_f64().unwrap() as f32;
            let prompts = prompts(&network, &golden, &meta, case);
            println!("{folder} {case}");
            check(&network, &golden, case, prompts, floor);
        }
    }
}

#[test]
fn logits_and_hidden_states_of_single_and_packed_prompts() {
    every_case("model", |network, golden, case, prompts, floor| {
        let batch = packed(&prompts);
        let check = |what: &str, tensor: &candle_core::Tensor| {
            for (row, (segment, prompt)) in batch.segments.iter().zip(&prompts).enumerate() {
                let found = values(&tensor.narrow(0, segment.start, segment.len).unwrap());
                let expected = real(golden, &format!("{case}.{what}"), row, prompt.from);
                let error = relative_error(&found, expected);
                assert!(error < TOLERANCE, "{case}.{what} row {row}: {error}");
                if what == "logits" {
                    let difference = largest_difference(&found, expected);
                    assert!(difference <= 4.0 * floor, "{case} row {row}: {difference} > 4 · {floor}");
                }
            }
        };
        let pass = glm_model::glm::Pass::new(network.config(), &batch, &[]);
        let mut x = network.embed(&batch.ids).unwrap();
        check("hidden.0", &x);
        let last = network.blocks().len() - 1;
        for (i, block) in network.blocks().iter().enumerate() {
            x = block.forward(&x, BlockInputs::default(), &pass, None).unwrap();
            // The first generation lists the output of the final norm in place of that of the last block.
            if i < last || network.config().variant != Variant::ChatGlm {
                check(&format!("hidden.{}", i + 1), &x);
            }
        }
        check("last_hidden", &network.normed(&x).unwrap());
        check("logits", &network.logits(&x).unwrap());
        let whole = network.forward(&batch, &AdapterInputs::default()).unwrap();
        assert_eq!(values(&whole), values(&x));

        // Positions that the model makes itself, where it takes another of two mask tokens than the tokenizer.
        let (name, made) = (format!("{case}.model_made.position_ids"), format!("{case}.model_made.logits"));
        if golden.has(&made) {
            let mut own = Batch::default();
            let ids = &prompts[0].ids;
            own.push(ids, 0, positions(network, ids, golden.integers(&name).1), None, 0);
            assert_ne!(own.positions, batch.positions[..ids.len()]);
            let x = network.forward(&own, &AdapterInputs::default()).unwrap();
            let difference = largest_difference(&values(&network.logits(&x).unwrap()), golden.floats(&made).1);
            assert!(difference <= 4.0 * floor, "{made}: {difference} > 4 · {floor}");
        }
    });
}

/// Products in bfloat16, the default of real runs, against the official logits in f32.
#[test]
fn logits_in_bf16_are_within_a_hundredth() {
    if !Compute::Bf16.available() {
        println!("skipped: this processor has no AVX512_BF16");
        return;
    }
    rounded_logits(Compute::Bf16, 1e-6..1e-2);
}

/// Products in 8-bit integers.
#[test]
fn logits_in_int8_are_within_a_twentieth() {
    // More than bfloat16 is off by.
    rounded_logits(Compute::Int8, 1e-2..5e-2);
}

/// Logits of every fixture are nearly, not exactly, the official ones.
fn rounded_logits(compute: Compute, between: Range<f64>) {
    for folder in FOLDERS {
        let options = LoadOptions { compute, ..LoadOptions::default() };
        let network = Network::load(&fixture(&format!("{folder}/model")), options, &mut |_, _| {}).unwrap();
        let golden = Golden::open(&format!("{folder}/forward.safetensors"));
        let meta = json(&format!("{folder}/forward.json"));
        let mut largest = 0.0f64;
        for case in meta["cases"].as_object().unwrap().keys() {
            let prompts = prompts(&network, &golden, &meta, case);
            let batch = packed(&prompts);
            let x = network.forward(&batch, &AdapterInputs::default()).unwrap();
            let logits = network.logits(&x).unwrap();
            for (row, (segment, prompt)) in batch.segments.iter().zip(&prompts).enumerate() {
                let found = values(&logits.narrow(0, segment.start, segment.len).unwrap());
                let error = relative_error(&found, real(&golden, &format!("{case}.logits"), row, prompt.from));
                println!("{folder} {case} row {row}: {error:.1e}");
                assert!(error < between.end, "{folder} {case} row {row}: {error}");
                largest = error.max(largest);
            }
        }
        // Of few tokens nothing is, these weights being floats.
        assert!(largest > between.start, "{folder}: {largest}, so less was rounded than should be");
    }
}

#[test]
fn incremental_decoding_with_a_cache() {
    every_case("model-safetensors", |network, golden, case, prompts, floor| {
        let mut caches: Vec<KvCache> = prompts.iter().map(|_| network.new_cache()).collect();
        let mut forward = |batch: &Batch| {
            let mut caches: Vec<&mut KvCache> = caches.iter_mut().collect();
            let x = network.forward_cached(batch, &AdapterInputs::default(), &mut caches).unwrap();
            network.logits(&x).unwrap()
        };
        forward(&packed(&prompts));
        let steps = golden.integer_rows(&format!("{case}.decode_tokens"));
        for step in 0..steps[0].len() {
            let mut batch = Batch::default();
            for (tokens, prompt) in steps.iter().zip(&prompts) {
                batch.push(&[tokens[step] as u32], prompt.ids.len() + step, prompt.positions, None, 0);
            }
            let logits = values(&forward(&batch));
            let name = format!("{case}.step{}.logits", step + 1);
            let difference = largest_difference(&logits, golden.floats(&name).1);
            assert!(difference <= 4.0 * floor, "{name}: {difference} > 4 · {floor}");
        }
        // The first block's cache, as the reference keeps it: [seq, batch, groups, head_dim].
        for (what, offset) in [("key", 0), ("value", 1)] {
            let (shape, expected) = golden.floats(&format!("{case}.past_{what}.0"));
            let width = shape[2] * shape[3];
            for (row, prompt) in prompts.iter().enumerate() {
                let rows = caches[row].layer(0).chunks_exact(2 * width).take(prompt.ids.len());
                let found: Vec<f32> = rows.flat_map(|r| r[offset * width..][..width].to_vec()).collect();
                let expected: Vec<f32> = (prompt.from..shape[0])
                    .flat_map(|t| expected[(t * shape[1] + row) * width..][..width].to_vec())
                    .collect();
                let error = relative_error(&found, &expected);
                assert!(error < TOLERANCE, "{case}.past_{what} row {row}: {error}");
            }
        }
    });
}

#[test]
fn both_file_layouts_hold_the_same_network() {
    for folder in FOLDERS {
        let (torch, safe) = (network(&format!("{folder}/model")), network(&format!("{folder}/model-safetensors")));
        assert_eq!(torch.fingerprint(), safe.fingerprint());
        let ids: Vec<u32> = (0..torch.config().vocab_size as u32).collect();
        assert_eq!(values(&torch.embed(&ids).unwrap()), values(&safe.embed(&ids).unwrap()));
        for (a, b) in torch.blocks().iter().zip(safe.blocks()) {
            for (a, b) in a.linears().into_iter().zip(b.linears()) {
                let (_, inner) = a.weight.shape().unwrap();
                let eye = candle_core::Tensor::eye(inner, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
                assert_eq!(values(&a.forward(&eye, &[]).unwrap()), values(&b.forward(&eye, &[]).unwrap()));
            }
        }
    }
}
