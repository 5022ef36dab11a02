//! Quantized bases: bytes and logits of the official schemes, and what grouped INT4 gains over the official one.

mod support;

use glm_model::adapter::PrefixSlots;
use glm_model::quant::{FrozenWeight, RowScaled};
use glm_model::weights::{TensorBytes, WeightFolder};
use glm_model::{Network, Scheme};
use glm_testkit::{Golden, fixture, json, relative_error};
use support::{AS_STORED, floats, logits_error, network, real_rows};

const SCHEMES: [(&str, Scheme); 2] = [("glm2-tiny/quant-int4", Scheme::Int4), ("glm2-tiny/quant-int8", Scheme::Int8)];

#[test]
fn logits_of_stored_and_of_quantized_on_load_bases() {
    for (folder, scheme) in SCHEMES {
        let golden = Golden::open(&format!("{folder}/expected.safetensors"));
        for network in [network(folder, AS_STORED), network(folder, scheme), network("glm2-tiny/model", scheme)] {
            let error = logits_error(&network, &PrefixSlots::default(), None, &golden, "eval");
            assert!(error < 1e-4, "{folder}: {error}");
        }
    }
}

/// Compares packed values and scales of every quantized matrix with the raw bytes of the official file.
fn assert_same_bytes<const VALUES: usize>(folder: &str) {
    let dense = WeightFolder::open(&fixture("glm2-tiny/model")).unwrap();
    let official = WeightFolder::open(&fixture(folder)).unwrap();
    let matrices = json(&format!("{folder}/expected.json"))["quantized"].as_array().unwrap().clone();
    assert!(!matrices.is_empty());
    for name in matrices.iter().map(|name| name.as_str().unwrap()) {
        let raw = |suffix: &str| official.get(&format!("{name}.{suffix}")).unwrap();
        let found = RowScaled::<VALUES>::quantize(&dense.get(&format!("{name}.weight")).unwrap()).unwrap();
        assert!(found.packed() == raw("weight").data, "{folder} {name}: packed values differ");
        let scales: Vec<u8> = found.half_scales().iter().flat_map(|scale| scale.to_le_bytes()).collect();
        assert!(scales == raw("weight_scale").data, "{folder} {name}: scales differ");
        let loaded = RowScaled::<VALUES>::load(&raw("weight"), &raw("weight_scale")).unwrap();
        assert!(loaded.packed() == found.packed() && loaded.half_scales() == found.half_scales());
    }
}

#[test]
fn quantizing_gives_the_official_bytes() {
    assert_same_bytes::<2>("glm2-tiny/quant-int4");
    assert_same_bytes::<1>("glm2-tiny/quant-int8");
}

#[test]
fn rows_read_back_as_the_official_product_of_value_and_scale() {
    for (folder, scheme) in SCHEMES {
        let golden = Golden::open(&format!("{folder}/expected.safetensors"));
        let names: Vec<String> = golden.names("dequant_float.").iter().map(|name| name.to_string()).collect();
        assert!(!names.is_empty());
        for name in names {
            let dense = WeightFolder::open(&fixture("glm2-tiny/model")).unwrap();
            let matrix = dense.get(name.trim_start_matches("dequant_float.")).unwrap();
            assert_eq!(read_back(scheme, &matrix), golden.floats(&name).1, "{folder} {name}");
        }
    }
}

fn read_back(scheme: Scheme, matrix: &TensorBytes<'_>) -> Vec<f32> {
    let weight = scheme.freeze(matrix).unwrap();
    let (out, inner) = weight.shape();
    let mut values = vec![0.0; out * inner];
    values.chunks_exact_mut(inner).enumerate().for_each(|(r, row)| weight.row(r, row));
    values
}

/// Relative error of all quantized matrices together, then of the logits, both against f32.
fn errors(scheme: Scheme, exact: &Network) -> (f64, f64) {
    let dense = WeightFolder::open(&fixture("glm2-tiny/model")).unwrap();
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    for name in json("glm2-tiny/quant-int4/expected.json")["quantized"].as_array().unwrap() {
        let matrix = dense.get(&format!("{}.weight", name.as_str().unwrap())).unwrap();
        expected.extend(matrix.all_f32().unwrap());
        found.extend(read_back(scheme, &matrix));
    }
    let golden = Golden::open("glm2-tiny/quant-int4/expected.safetensors");
    let mut batch = glm_data::Batch::default();
    real_rows(&golden, "eval").iter().for_each(|(ids, _)| batch.push(ids, 0, None, 0, 0));
    let logits = |network: &Network| {
        let hidden = network.forward(&batch, &Default::default()).unwrap();
        floats(&network.logits(&hidden).unwrap())
    };
    (relative_error(&found, &expected), relative_error(&logits(&network("glm2-tiny/model", scheme)), &logits(exact)))
}

#[test]
fn groups_are_more_exact_than_rows() {
    let exact = network("glm2-tiny/model", AS_STORED);
    let measured = [Scheme::Int4, Scheme::Int4Group { group: 64 }, Scheme::Int4Group { group: 32 }, Scheme::Int8]
        .map(|scheme| (scheme, errors(scheme, &exact)));
    for (scheme, (weights, logits)) in measured {
        println!("{scheme}: relative error of the weights {weights:.4}, of the logits {logits:.4}");
    }
    let [(_, rows), (_, group64), (_, group32), (_, int8)] = measured;
    assert!(group32.0 < group64.0 && group64.0 <= rows.0 && int8.0 < group32.0, "weights: {measured:?}");
    assert!(group32.1 < rows.1 && int8.1 < group32.1, "logits: {measured:?}");
}
