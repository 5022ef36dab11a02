//! Networks, prefixes and prompts of the fixtures.
// Every test file compiles its own copy of this module and uses its own part of it.
#![allow(dead_code)]

use candle_core::Tensor;
use glm_data::{Batch, Positions, Variant};
use glm_infer::{Answer, Engine, GenerationConfig, Request, SpecialIds};
use glm_model::adapter::{AdapterSlots, PrefixConfig, PrefixEncoder};
use glm_model::{AdapterInputs, LoadOptions, Network, Scheme};
use glm_testkit::{Golden, fixture, relative_error};
use serde_json::Value;
use std::sync::atomic::AtomicBool;

pub const AS_STORED: Scheme = Scheme::Dense { dtype: None };

pub fn network(folder: &str, scheme: Scheme) -> Network {
    let options = LoadOptions { scheme, ..LoadOptions::default() };
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
pub fn requests(
    network: &Network,
    rows: &[Vec<u32>],
    pad: u32,
    slot: Option<usize>,
    config: &GenerationConfig,
) -> Vec<Request> {
    let request = |row: &Vec<u32>| {
        let prompt: Vec<u32> = row.iter().copied().skip_while(|id| *id == pad).collect();
        let positions = positions(network, &prompt);
        Request { positions, ..Request::in_batch(prompt, slot, row.len(), config) }
    };
    rows.iter().map(request).collect()
}

/// Where the tokens of a prompt stand, from the ids that the base's own config names.
pub fn positions(network: &Network, prompt: &[u32]) -> Positions {
    let place = |key: &str| {
        let id = network.config().raw[key].as_u64().expect("an id") as u32;
        prompt.iter().position(|other| *other == id).expect("the prompt holds it")
    };
    match network.config().variant {
        Variant::ChatGlm => {
            Positions::Block { context_len: place("bos_token_id"), mask_position: place("gmask_token_id") }
        }
        Variant::ChatGlm2 | Variant::ChatGlm3 => Positions::Linear,
    }
}

/// What `meta` (a `generate.json`) says of all its cases: most new tokens, end token, pad token.
fn common(meta: &Value) -> (usize, u32, u32) {
    let number = |key: &str| meta[key].as_u64().expect("a number");
    (number("max_new_tokens") as usize, number("eos_token_id") as u32, number("pad_token_id") as u32)
}

/// Generates and compares what is streamed with what is returned.
pub fn generate(engine: &Engine<'_>, requests: &[Request], config: &GenerationConfig) -> Vec<Answer> {
    let mut streamed = vec![Vec::new(); requests.len()];
    let stop = AtomicBool::new(false);
    let answers =
        engine.generate(requests, config, &stop, &mut |row, id| streamed[row].push(id)).expect("it generates");
    assert_eq!(answers.len(), requests.len());
    for (answer, streamed) in answers.iter().zip(&streamed) {
        assert_eq!(&answer.tokens, streamed, "the stream differs from the answer");
    }
    answers
}

/// All `greedy*` entries of a `generation` object of a fixture, as transformers gives them: rows that met an end token
/// are filled up with the pad token.
pub fn check_greedy(network: &Network, prefixes: &AdapterSlots, slot: Option<usize>, generation: &Value, meta: &Value) {
    let (most, eos, pad) = common(meta);
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
            let answers = generate(&engine, &requests(network, &rows, pad, slot, &config), &config);
            let expected = id_rows(&case[name]["new_tokens"]);
            assert_eq!(answers.len(), expected.len());
            for (answer, expected) in answers.iter().zip(&expected) {
                assert_eq!(&filled(answer, expected.len(), pad), expected, "{name}");
            }
        }
    }
}

/// All `beam*` entries of a `generation` object of a fixture: tokens and scores of all answers that each prompt has. How
/// the search was set stands in the names.
pub fn check_beams(network: &Network, prefixes: &AdapterSlots, slot: Option<usize>, generation: &Value, meta: &Value) {
    let (most, eos, pad) = common(meta);
    let mut checked = 0;
    for case in ["single", "batch"] {
        let case = &generation[case];
        let rows = id_rows(&case["input_ids"]);
        for (name, expected) in case.as_object().expect("an object") {
            let Some(setting) = name.strip_prefix("beam") else { continue };
            let (config, ends) = beam_settings(setting, rows.len(), expected, case, greedy(most));
            let engine = Engine::new(network, prefixes, SpecialIds { eos: ends.unwrap_or_else(|| vec![eos]), pad });
            let requests = requests(network, &rows, pad, slot, &config);
            let answers = generate(&engine, &requests, &config);
            if expected.get("error").is_some() {
                // Where transformers gives up because too many candidates end, the search goes on.
                continue;
            }
            let found: Vec<&Answer> =
                answers.iter().flat_map(|answer| std::iter::once(answer).chain(&answer.others)).collect();
            let scores = expected["sequences_scores"].as_array().expect("scores");
            let expected = id_rows(&expected["new_tokens"]);
            assert_eq!(found.len(), expected.len(), "{name}");
            for ((answer, expected), score) in found.iter().zip(&expected).zip(scores) {
                assert_eq!(&filled(answer, expected.len(), pad), expected, "{name}");
                let score = score.as_f64().expect("a number");
                let error = (answer.score.expect("beam search scores") - score).abs() / score.abs();
                assert!(error < 1e-5, "{name}: relative error {error} of a score");
            }
            // The batch has no say in what a row gets.
            let alone = generate(&engine, &requests[rows.len() - 1..], &config);
            let last = answers.last().expect("there are rows");
            assert_eq!(alone[0].tokens, last.tokens, "{name}");
            checked += 1;
        }
    }
    assert!(checked > 0, "no beam search in the fixture");
}

fn beam_settings(
    name: &str,
    rows: usize,
    expected: &Value,
    case: &Value,
    config: GenerationConfig,
) -> (GenerationConfig, Option<Vec<u32>>) {
    let (beams, rest) = name.split_at(name.find('_').unwrap_or(name.len()));
    let penalty = rest.split_once("length_penalty_").map_or(1.0, |(_, number)| number.parse().expect("a number"));
    let eos = match rest {
        _ if rest.contains("eos_many") => Some(ids(&case["eos_many"])),
        // The lists were chosen so that the length penalty matters.
        _ if rest.contains("eos_alt") || rest.contains("length_penalty") => Some(ids(&case["eos_alt"])),
        _ => None,
    };
    let config = GenerationConfig {
        num_beams: beams.parse().expect("a number of beams"),
        num_return_sequences: expected["new_tokens"].as_array().map_or(1, |answers| answers.len() / rows),
        length_penalty: penalty,
        early_stopping: rest.contains("early_stopping"),
        ..config
    };
    (config, eos)
}

fn filled(answer: &Answer, len: usize, pad: u32) -> Vec<u32> {
    let mut filled = answer.tokens.clone();
    filled.resize(len.max(filled.len()), pad);
    filled
}
