//! The network against the official code: logits, hidden states, cache and decoding steps of the forward fixtures.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

use glm_data::{Batch, Positions};
use glm_model::glm::{BlockInputs, Network};
use glm_model::{AdapterInputs, KvCache, LoadOptions};
use glm_testkit::{Golden, fixture, relative_error};

const TOLERANCE: f64 = 1e-4;

fn network(folder: &str) -> Network {
    Network::load(&fixture(folder), LoadOptions::default(), &mut |_, _| {}).unwrap()
}

/// Prompt rows without their padding, and where each begins in the padded golden.
fn prompts(golden: &Golden, case: &str) -> Vec<(Vec<u32>, usize)> {
    let masks = golden.integer_rows(&format!("{case}.attention_mask"));
    let ids = golden.integer_rows(&format!("{case}.input_ids"));
    ids.iter()
        .zip(&masks)
        .map(|(ids, mask)| {
            let first = mask.iter().position(|m| *m == 1).unwrap();
            (ids[first..].iter().map(|i| *i as u32).collect(), first)
        })
        .collect()
}

fn values(tensor: &candle_core::Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Rows `from..` of sequence `row` of a golden `[batch, seq, width]`.
fn real<'a>(golden: &'a Golden, name: &str, row: usize, from: usize) -> &'a [f32] {
    let (shape, values) = golden.floats(name);
    &values[(row * shape[1] + from) * shape[2]..(row + 1) * shape[1] * shape[2]]
}

#[test]
fn logits_and_hidden_states_of_single_and_packed_prompts() {
    let network = network("glm2-tiny/model");
    let golden = Golden::open("glm2-tiny/forward.safetensors");
    for case in ["single", "batch"] {
        let prompts = prompts(&golden, case);
        let mut batch = Batch::default();
        prompts.iter().for_each(|(ids, _)| batch.push(ids, 0, Positions::Linear, None, 0));
        let check = |what: &str, tensor: &candle_core::Tensor| {
            for (row, (segment, (_, from))) in batch.segments.iter().zip(&prompts).enumerate() {
                let found = values(&tensor.narrow(0, segment.start, segment.len).unwrap());
                let error = relative_error(&found, real(&golden, &format!("{case}.{what}"), row, *from));
                assert!(error < TOLERANCE, "{case}.{what} row {row}: {error}");
            }
        };
        let pass = glm_model::glm::Pass::new(network.config(), &batch, &[]);
        let mut x = network.embed(&batch.ids).unwrap();
        check("hidden.0", &x);
        for (i, block) in network.blocks().iter().enumerate() {
            x = block.forward(&x, BlockInputs::default(), &pass, None).unwrap();
            check(&format!("hidden.{}", i + 1), &x);
        }
        check("last_hidden", &network.normed(&x).unwrap());
        check("logits", &network.logits(&x).unwrap());
        let whole = network.forward(&batch, &AdapterInputs::default()).unwrap();
        assert_eq!(values(&whole), values(&x));
    }
}

#[test]
fn incremental_decoding_with_a_cache() {
    let network = network("glm2-tiny/model-safetensors");
    let golden = Golden::open("glm2-tiny/forward.safetensors");
    for case in ["single", "batch"] {
        let prompts = prompts(&golden, case);
        let mut caches: Vec<KvCache> = prompts.iter().map(|_| network.new_cache()).collect();
        let mut batch = Batch::default();
        prompts.iter().for_each(|(ids, _)| batch.push(ids, 0, Positions::Linear, None, 0));
        let mut forward = |batch: &Batch| {
            let mut caches: Vec<&mut KvCache> = caches.iter_mut().collect();
            let x = network.forward_cached(batch, &AdapterInputs::default(), &mut caches).unwrap();
            network.logits(&x).unwrap()
        };
        forward(&batch);
        let steps = golden.integer_rows(&format!("{case}.decode_tokens"));
        let mut lengths: Vec<usize> = prompts.iter().map(|(ids, _)| ids.len()).collect();
        let count = steps[0].len();
        for step in 0..count {
            let mut batch = Batch::default();
            for (tokens, length) in steps.iter().zip(&mut lengths) {
                batch.push(&[tokens[step] as u32], *length, Positions::Linear, None, 0);
                *length += 1;
            }
            let logits = values(&forward(&batch));
            let name = format!("{case}.step{}.logits", step + 1);
            let error = relative_error(&logits, golden.floats(&name).1);
            assert!(error < TOLERANCE, "{name}: {error}");
        }
        // The first block's cache, as the reference keeps it: [seq, batch, groups, head_dim].
        for (what, offset) in [("key", 0), ("value", 1)] {
            let (shape, expected) = golden.floats(&format!("{case}.past_{what}.0"));
            let width = shape[2] * shape[3];
            for (row, (ids, from)) in prompts.iter().enumerate() {
                let rows = caches[row].layer(0).chunks_exact(2 * width).take(ids.len());
                let found: Vec<f32> = rows.flat_map(|r| r[offset * width..][..width].to_vec()).collect();
                let expected: Vec<f32> = (*from..shape[0])
                    .flat_map(|t| expected[(t * shape[1] + row) * width..][..width].to_vec())
                    .collect();
                let error = relative_error(&found, &expected);
                assert!(error < TOLERANCE, "{case}.past_{what} row {row}: {error}");
            }
        }
    }
}

#[test]
fn both_file_layouts_hold_the_same_network() {
    let (torch, safe) = (network("glm2-tiny/model"), network("glm2-tiny/model-safetensors"));
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
