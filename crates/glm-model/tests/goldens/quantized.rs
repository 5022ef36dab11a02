//! Bases in the official INT4 and INT8 layout, and bases that are quantized while loading, against the official code.

use crate::support::{FOLDERS, Prompt, network, network_as, of_row, packed, positions, real, values};
use glm_model::quant::RowScaled;
use glm_model::weights::WeightFolder;
use glm_model::{AdapterInputs, Network, Scheme};
use glm_testkit::{Golden, fixture, json, largest_difference};

/// Folder of a base, the same base stored quantized, and the scheme.
fn bases() -> Vec<(String, String, Scheme)> {
    let mut bases = Vec::new();
    for folder in FOLDERS {
        for (name, scheme) in [("quant-int4", Scheme::Int4), ("quant-int8", Scheme::Int8)] {
            let stored = format!("{folder}/{name}");
            if fixture(&stored).exists() {
                bases.push((format!("{folder}/model"), stored, scheme));
            } else {
                eprintln!("skipped: the fixtures have no {stored}");
            }
        }
    }
    assert!(bases.len() > 2, "only {bases:?}");
    bases
}

/// The rows of the evaluation without the padding on their left.
fn prompts(network: &Network, golden: &Golden) -> Vec<Prompt> {
    let pad = network.config().raw["pad_token_id"].as_i64().unwrap();
    let rows = golden.integer_rows("eval.input_ids").into_iter().enumerate();
    rows.map(|(row, padded)| {
        let from = padded.iter().take_while(|id| **id == pad).count();
        let ids: Vec<u32> = padded[from..].iter().map(|id| *id as u32).collect();
        let positions = positions(network, &ids, of_row(golden, "eval.position_ids", row));
        Prompt { ids, from, positions }
    })
    .collect()
}

#[test]
fn logits_of_quantized_bases() {
    for (dense, stored, scheme) in bases() {
        let golden = Golden::open(&format!("{stored}/expected.safetensors"));
        let folder = dense.trim_end_matches("/model");
        let floor = json(&format!("{folder}/forward.json"))["noise_floor_logits"]["batch"].as_f64().unwrap() as f32;
        for network in [network(&stored), network_as(&stored, scheme), network_as(&dense, scheme)] {
            assert_eq!(network.scheme(), scheme, "{stored}");
            let prompts = prompts(&network, &golden);
            let batch = packed(&prompts);
            let logits = network.logits(&network.forward(&batch, &AdapterInputs::default()).unwrap()).unwrap();
            for (row, (segment, prompt)) in batch.segments.iter().zip(&prompts).enumerate() {
                let found = values(&logits.narrow(0, segment.start, segment.len).unwrap());
                let difference = largest_difference(&found, real(&golden, "eval.logits", row, prompt.from));
                assert!(difference <= 4.0 * floor, "{stored} row {row}: {difference} > 4 · {floor}");
            }
        }
    }
}

/// Compares packed values and scales of every quantized matrix with the raw bytes of the official file.
fn assert_same_bytes<const VALUES: usize>(dense: &str, stored: &str) {
    let weights = WeightFolder::open(&fixture(dense)).unwrap();
    let official = WeightFolder::open(&fixture(stored)).unwrap();
    let matrices = json(&format!("{stored}/expected.json"))["quantized"].as_array().unwrap().clone();
    let layers = network(stored).config().num_layers;
    assert_eq!(matrices.len(), 4 * layers, "{stored}: the four linear layers of every block and nothing else");
    for name in matrices.iter().map(|name| name.as_str().unwrap()) {
        let raw = |suffix: &str| official.get(&format!("{name}.{suffix}")).unwrap();
        let found = RowScaled::<VALUES>::quantize(&weights.get(&format!("{name}.weight")).unwrap()).unwrap();
        assert!(found.packed() == raw("weight").data, "{stored} {name}: packed values differ");
        let scales: Vec<u8> = found.half_scales().iter().flat_map(|scale| scale.to_le_bytes()).collect();
        assert!(scales == raw("weight_scale").data, "{stored} {name}: scales differ");
    }
}

#[test]
fn quantizing_gives_the_official_bytes() {
    for (dense, stored, scheme) in bases() {
        match scheme {
            Scheme::Int4 => assert_same_bytes::<2>(&dense, &stored),
            _ => assert_same_bytes::<1>(&dense, &stored),
        }
    }
}
