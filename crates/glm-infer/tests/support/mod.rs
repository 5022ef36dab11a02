//! Networks, prefixes and prompts of the fixtures.
// Every test file compiles its own copy of this module and uses its own part of it.
#![allow(dead_code)]

use candle_core::Tensor;
use glm_data::{Batch, Positions};
use glm_infer::{Engine, GenerationConfig, Request, SpecialIds};
use glm_model::adapter::{AdapterSlots, PrefixConfig, PrefixEncoder};
use glm_model::{AdapterInputs, LoadOptions, Network, Scheme};
use glm_testkit::{Golden, fixture, relative_error};
use serde_json::Value;
use std::sync::atomic::AtomicBool;

pub const AS_STORED: Scheme = Scheme::Dense { dtype: None };

pub fn network(folder: &str, scheme: Scheme) -> Network {
    let options = LoadOptions { scheme, trainable: false };
    Network::load(&fixture(folder), options, &mut |_, _| {}).expect("the fixture loads")
}

/// The untrained prefix of a `ptuning-*` fixture.
pub fn encoder(network: &Network, meta: &Value, golden: &Golden) -> PrefixEncoder {
    let length = meta["pre_seq_len"].as_u64().expect("a length") as usize;
    let projection = meta["prefix_projection"].as_bool().expect("a truth value");
    let config = PrefixConfig::new(network.config(), length, projection);
    PrefixEncoder::from_values(config, |name, _| golden.floats(&format!("init.{name}")).1.to_vec()).expect("it fits")
}

pub fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().expect("a tensor").to_vec1().expect("floats")
}

pub fn ids(value: &Value) -> Vec<u32> {
    value.as_array().expect("a list of ids").iter().map(|id| id.as_u64().expect("an id") as u32).collect()
}

pub fn id_rows(value: &Value) -> Vec<Vec<u32>> {
    value.as_array().expect("a list of rows").iter().map(ids).collect()
}

/// Rows of a golden without their left padding, with its width: the prompts, and `seq - len` for each.
pub fn real_rows(golden: &Golden, case: &str) -> Vec<(Vec<u32>, usize)> {
    let masks = golden.integer_rows(&format!("{case}.attention_mask"));
    let rows = golden.integer_rows(&format!("{case}.input_ids"));
    let from = |mask: &Vec<i64>| mask.iter().position(|m| *m == 1).expect("a row has tokens");
    rows.iter()
        .zip(&masks)
        .map(|(ids, mask)| (ids[from(mask)..].iter().map(|i| *i as u32).collect(), from(mask)))
        .collect()
}

/// Largest relative error over the rows of `case.logits`, compared at real positions.
pub fn logits_error(network: &Network, past: &AdapterSlots, slot: Option<usize>, golden: &Golden, case: &str) -> f64 {
    let rows = real_rows(golden, case);
    let mut batch = Batch::default();
    rows.iter().for_each(|(ids, _)| batch.push(ids, 0, Positions::Linear, slot, 0));
    let past: AdapterInputs = past.inputs(&batch.segments).expect("the slot is in use");
    let logits = network.logits(&network.forward(&batch, &past).expect("it fits")).expect("it fits");
    let (shape, expected) = golden.floats(&format!("{case}.logits"));
    let error = |(row, (segment, (_, from))): (usize, (&glm_data::Segment, &(Vec<u32>, usize)))| {
        let found = floats(&logits.narrow(0, segment.start, segment.len).expect("rows of the batch"));
        relative_error(&found, &expected[(row * shape[1] + from) * shape[2]..(row + 1) * shape[1] * shape[2]])
    };
    batch.segments.iter().zip(&rows).enumerate().map(error).fold(0.0, f64::max)
}

pub fn greedy(max_new_tokens: usize) -> GenerationConfig {
    GenerationConfig { do_sample: false, max_new_tokens: Some(max_new_tokens), ..GenerationConfig::default() }
}

/// Requests for left-padded rows.
pub fn requests(rows: &[Vec<u32>], pad: u32, slot: Option<usize>, config: &GenerationConfig) -> Vec<Request> {
    let strip = |row: &Vec<u32>| row.iter().copied().skip_while(|id| *id == pad).collect();
    rows.iter().map(|row| Request::in_batch(strip(row), slot, row.len(), config)).collect()
}

/// All `greedy*` entries of a `generation` object of a fixture, as transformers gives them: rows that met an end token
/// are filled up with the pad token.
pub fn check_greedy(network: &Network, prefixes: &AdapterSlots, slot: Option<usize>, generation: &Value, meta: &Value) {
    let number = |key: &str| meta[key].as_u64().expect("a number") as usize;
    let (most, eos, pad) = (number("max_new_tokens"), number("eos_token_id") as u32, number("pad_token_id") as u32);
    let penalised = GenerationConfig { repetition_penalty: 1.2, ..greedy(most) };
    for case in ["single", "batch"] {
        let case = &generation[case];
        let rows = id_rows(&case["input_ids"]);
        for (name, config, ends) in [
            ("greedy", greedy(most), vec![eos]),
            ("greedy_eos_alt", greedy(most), ids(&case["eos_alt"])),
            ("greedy_repetition_penalty_1.2", penalised.clone(), vec![eos]),
        ] {
            let engine = Engine::new(network, prefixes, SpecialIds { eos: ends, pad });
            let requests = requests(&rows, pad, slot, &config);
            let mut streamed = vec![Vec::new(); rows.len()];
            let stop = AtomicBool::new(false);
            let answers = engine
                .generate(&requests, &config, &stop, &mut |row, id| streamed[row].push(id))
                .expect("it generates");
            let expected = id_rows(&case[name]["new_tokens"]);
            assert_eq!(answers.len(), expected.len());
            for ((answer, expected), streamed) in answers.iter().zip(&expected).zip(&streamed) {
                let mut filled = answer.tokens.clone();
                assert_eq!(&filled, streamed, "{name}: the stream differs from the answer");
                filled.resize(expected.len().max(filled.len()), pad);
                assert_eq!(&filled, expected, "{name}");
            }
        }
    }
}
