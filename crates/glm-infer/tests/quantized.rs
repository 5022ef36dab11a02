//! Quantized bases: bytes and logits of the official schemes, and what grouped INT4 gains over the official one.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use glm_data::{Positions, Rng};
use glm_model::adapter::AdapterSlots;
use glm_model::quant::RowScaled;
use glm_model::weights::{ElementType, TensorBytes, WeightFolder};
use glm_model::{LoadOptions, Network, Scheme};
use glm_testkit::{Golden, fixture, json, relative_error};
use support::{AS_STORED, floats, logits_error, network, real_rows};

const SCHEMES: [(&str, Scheme); 2] = [("glm2-tiny/quant-int4", Scheme::Int4), ("glm2-tiny/quant-int8", Scheme::Int8)];

#[test]
fn logits_of_stored_and_of_quantized_on_load_bases() {
    for (folder, scheme) in SCHEMES {
        let golden = Golden::open(&format!("{folder}/expected.safetensors"));
        for network in [network(folder, AS_STORED), network(folder, scheme), network("glm2-tiny/model", scheme)] {
            let error = logits_error(&network, &AdapterSlots::default(), None, &golden, "eval");
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
        let loaded = RowScaled::<VALUES>::load(&raw("weight"), &raw("weight_scale"), None).unwrap();
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
    let weight = scheme.freeze(matrix, None).unwrap();
    let (out, inner) = weight.shape();
    let mut values = vec![0.0; out * inner];
    values.chunks_exact_mut(inner).enumerate().for_each(|(r, row)| weight.row(r, row));
    values
}

/// Relative error of one matrix in a scheme against its own values.
fn weight_error(scheme: Scheme, matrix: &TensorBytes<'_>) -> f64 {
    relative_error(&read_back(scheme, matrix), &matrix.all_f32().unwrap())
}

#[test]
fn smaller_groups_hold_weights_more_exactly() {
    // As trained matrices are: normal values, a few columns ten times as large.
    let (rows, columns) = (96, 512);
    let mut rng = Rng::new(5);
    let scale = |i: usize| if (i % columns) % 101 == 7 { 0.2 } else { 0.02 };
    let values: Vec<u8> = (0..rows * columns).flat_map(|i| (rng.normal() * scale(i)).to_le_bytes()).collect();
    let matrix = TensorBytes { dtype: ElementType::F32, shape: vec![rows, columns], data: &values };
    let schemes = [Scheme::Int4, Scheme::Int4Group { group: 64 }, Scheme::Int4Group { group: 32 }, Scheme::Int8];
    let errors = schemes.map(|scheme| (scheme.to_string(), weight_error(scheme, &matrix)));
    println!("relative errors with outlying columns: {errors:?}");
    assert!(errors.windows(2).all(|pair| pair[1].1 < 0.9 * pair[0].1), "{errors:?}");
}

/// The blocks stay as they are, so that what is printed is the error of the output layer alone.
#[test]
fn an_output_layer_of_more_bits_gives_nearer_logits() {
    let folder = "glm2-tiny/model";
    let golden = Golden::open("glm2-tiny/quant-int4/expected.safetensors");
    let mut batch = glm_data::Batch::default();
    real_rows(&golden, "eval").iter().for_each(|(ids, _)| batch.push(ids, 0, Positions::Linear, None, 0));
    let logits = |output_layer: Option<Scheme>| {
        let options = LoadOptions { output_layer, ..LoadOptions::default() };
        let network = Network::load(&fixture(folder), options, &mut |_, _| {}).unwrap();
        floats(&network.logits(&network.forward(&batch, &Default::default()).unwrap()).unwrap())
    };
    let exact = logits(None);
    let error = |scheme: Scheme| relative_error(&logits(Some(scheme)), &exact);
    let [int8, int4] = [Scheme::Int8, Scheme::Int4].map(error);
    println!("logits of a quantized output layer: INT8 {int8:.4}, official INT4 {int4:.4}");
    assert!(int8 > 0.0 && int8 < 0.02 && int8 < int4 / 5.0 && int4 < 0.3, "{int8} {int4}");
}

#[test]
fn grouped_int4_is_nearer_to_f32_than_the_official_int4() {
    let dense = WeightFolder::open(&fixture("glm2-tiny/model")).unwrap();
    let exact = network("glm2-tiny/model", AS_STORED);
    let golden = Golden::open("glm2-tiny/quant-int4/expected.safetensors");
    let mut batch = glm_data::Batch::default();
    real_rows(&golden, "eval").iter().for_each(|(ids, _)| batch.push(ids, 0, Positions::Linear, None, 0));
    let logits = |network: &Network| {
        let hidden = network.forward(&batch, &Default::default()).unwrap();
        floats(&network.logits(&hidden).unwrap())
    };
    let names = json("glm2-tiny/quant-int4/expected.json")["quantized"].as_array().unwrap().clone();
    let matrices: Vec<TensorBytes<'_>> =
        names.iter().map(|name| dense.get(&format!("{}.weight", name.as_str().unwrap())).unwrap()).collect();
    let own = std::env::var_os("GLM_FIXTURES").is_none();
    let mut compared = 0;
    for group in [32, 64] {
        let grouped = Scheme::Int4Group { group };
        // A group as wide as the row would be the official scheme again.
        let fitting: Vec<_> = matrices.iter().filter(|m| m.shape[1] > group && m.shape[1] % group == 0).collect();
        let mean = |scheme| fitting.iter().map(|m| weight_error(scheme, m)).sum::<f64>() / fitting.len() as f64;
        if fitting.is_empty() {
            println!("group {group}: no matrix of the fixture is wide enough");
            continue;
        }
        let (official, ours) = (mean(Scheme::Int4), mean(grouped));
        println!("weights, {} matrices: official INT4 {official:.4}, groups of {group} {ours:.4}", fitting.len());
        assert!(ours < official);
        compared += 1;
        if fitting.len() == matrices.len() {
            let error = |scheme| relative_error(&logits(&network("glm2-tiny/model", scheme)), &logits(&exact));
            let (official, ours, int8) = (error(Scheme::Int4), error(grouped), error(Scheme::Int8));
            println!("logits: official INT4 {official:.4}, groups of {group} {ours:.4}, INT8 {int8:.4}");
            // On a model of another seed the logits' order is chance; on the project's own it is a fact to keep.
            assert!(int8 < official && ours < 1.5 * official);
            assert!(!own || (ours < official && int8 < ours));
        }
    }
    assert!(!own || compared > 0, "no group fits the fixture");
    if compared == 0 {
        println!("skipped: no group fits the widths of this fixture");
    }
}
