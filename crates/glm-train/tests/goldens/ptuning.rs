//! P-Tuning v2 against the official code, for every variant: loss, every gradient, six optimizer steps in three settings,
//! quantized bases.

use crate::support::{FOLDERS, floor, network, network_as, options, rows, update};
use glm_data::Batch;
use glm_model::adapter::{PrefixConfig, PrefixEncoder};
use glm_model::{Compute, LoadOptions, Network, Scheme};
use glm_testkit::{Golden, fixture, json, largest_difference, relative_error};
use glm_train::clip::clip_grad_norm;
use glm_train::optim::{AdamW, AdamWConfig};
use glm_train::schedule::Schedule;
use glm_train::step::{Gradients, StepOptions, accumulate};
use glm_train::{Adapter, TrainConfig};
use serde_json::Value;
use std::slice::from_ref;

fn adapter(network: &Network, meta: &Value, golden: &Golden, from: &str) -> Adapter {
    let projection = meta["prefix_projection"].as_bool().unwrap();
    let config = PrefixConfig::new(network.config(), meta["pre_seq_len"].as_u64().unwrap() as usize, projection);
    let encoder = PrefixEncoder::from_values(config, |name, count| {
        let values = golden.floats(&format!("{from}.{name}")).1.to_vec();
        assert_eq!(values.len(), count, "{name}");
        values
    });
    Adapter::Prefix { encoder: encoder.unwrap(), dropout: 0.0 }
}

/// Calls `check` for both encoders of every variant that the fixtures have.
fn every_encoder(check: impl FnMut(&str, &Network, &Golden, &Value)) {
    every_encoder_in(Compute::F32, check);
}

/// The same with products in other numbers.
fn every_encoder_in(compute: Compute, mut check: impl FnMut(&str, &Network, &Golden, &Value)) {
    let mut checked = 0;
    for folder in FOLDERS {
        let options = LoadOptions { compute, ..LoadOptions::default() };
        let network = Network::load(&fixture(&format!("{folder}/model")), options, &mut |_, _| {}).unwrap();
        for kind in ["noproj", "proj"] {
            let file = format!("{folder}/ptuning-{kind}");
            if !fixture(&format!("{file}.json")).exists() {
                eprintln!("skipped: the fixtures have no {file}");
                continue;
            }
            let golden = Golden::open(&format!("{file}.safetensors"));
            check(&file, &network, &golden, &json(&format!("{file}.json")));
            checked += 1;
        }
    }
    assert!(checked > FOLDERS.len(), "only {checked}");
}

#[test]
fn loss_and_every_gradient_under_every_policy() {
    every_encoder(|kind, network, golden, meta| {
        let adapter = adapter(network, meta, golden, "init");
        let parameters = adapter.parameters(network);
        let rows = rows(network, golden, "batch");
        let batch = Batch::pack(&rows, Some(0));
        let mut first: Option<Gradients> = None;
        for kept_blocks in [network.config().num_layers, 1, 0] {
            let mut gradients = Gradients::zeros(parameters);
            let options = StepOptions { kept_blocks, ..options(network, 1.0) };
            let loss = accumulate(network, &adapter, from_ref(&batch), options, &[0], &mut gradients).unwrap()[0];
            let expected = golden.floats("loss").1[0];
            // A floor of 0 means that the noise changed no bit; two units in the last place are allowed then.
            let tolerance = (4.0 * floor(meta, &["noise_floor", "loss"])).max(2.0 * f32::EPSILON * expected);
            assert!((loss.mean - expected).abs() <= tolerance, "{kind}: loss {} expected {expected}", loss.mean);
            for ((name, _), found) in parameters.iter().zip(gradients.slices()) {
                let expected = golden.floats(&format!("grad.{name}")).1;
                let difference = largest_difference(found, expected);
                let tolerance = 4.0 * floor(meta, &["noise_floor", "grad", name]);
                assert!(difference <= tolerance, "{kind} {name}: {difference} > {tolerance}");
                assert!(found.iter().any(|g| *g != 0.0), "{name} got no gradient");
            }
            // Recomputing changes no bit.
            match &first {
                None => first = Some(gradients),
                Some(first) => assert!(first.slices().eq(gradients.slices()), "{kind}: kept {kept_blocks}"),
            }
        }
    });
}

/// Products in bfloat16 and in 8-bit integers: gradients are nearly, not exactly, the official ones.
#[test]
fn loss_and_every_gradient_in_rounded_numbers() {
    for (compute, of_loss, of_gradients) in [(Compute::Bf16, 1e-3, 5e-4..3e-2), (Compute::Int8, 1e-2, 5e-3..0.1)] {
        if !compute.available() {
            eprintln!("{compute:?} without instructions for it, so by its scalar twin or in f32");
        }
        every_encoder_in(compute, |kind, network, golden, meta| {
            let adapter = adapter(network, meta, golden, "init");
            let parameters = adapter.parameters(network);
            let batch = Batch::pack(&rows(network, golden, "batch"), Some(0));
            let mut gradients = Gradients::zeros(parameters);
            let options = options(network, 1.0);
            let loss = accumulate(network, &adapter, from_ref(&batch), options, &[0], &mut gradients).unwrap()[0];
            let expected = golden.floats("loss").1[0];
            assert!((loss.mean / expected - 1.0).abs() < of_loss, "{kind} {compute:?}: {} not {expected}", loss.mean);
            let mut largest = 0.0f64;
            for ((name, _), found) in parameters.iter().zip(gradients.slices()) {
                let error = relative_error(found, golden.floats(&format!("grad.{name}")).1);
                println!("{kind} {compute:?} {name}: {error:.1e}");
                assert!(error < of_gradients.end, "{kind} {compute:?} {name}: {error}");
                largest = largest.max(error);
            }
            let rounds = compute == Compute::Int8 || compute.available();
            assert!(!rounds || largest > of_gradients.start, "{kind} {compute:?}: {largest}, so nothing was rounded");
        });
    }
}

fn settings(settings: &Value, meta: &Value) -> TrainConfig {
    let number = |key: &str| settings[key].as_f64().unwrap();
    TrainConfig {
        optim: serde_json::from_value(settings["optim"].clone()).unwrap(),
        lr_scheduler_type: serde_json::from_value(settings["scheduler"].clone()).unwrap(),
        learning_rate: number("lr"),
        warmup_ratio: number("warmup_ratio"),
        weight_decay: number("wd"),
        adam_epsilon: number("eps"),
        adam_beta1: settings["betas"][0].as_f64().unwrap(),
        adam_beta2: settings["betas"][1].as_f64().unwrap(),
        max_grad_norm: number("max_grad_norm"),
        max_steps: Some(number("max_steps") as usize),
        per_device_train_batch_size: meta["micro_rows"].as_u64().unwrap() as usize,
        gradient_accumulation_steps: meta["gradient_accumulation_steps"].as_u64().unwrap() as usize,
        ..TrainConfig::default()
    }
}

#[test]
fn six_optimizer_steps_in_every_setting() {
    every_encoder(|kind, network, golden, meta| {
        // Micro batches one by one, as officially, and all of a step in one pass.
        let ways = |(run, expected)| [(run, expected, false), (run, expected, true)];
        for (run, expected, joined) in meta["runs"].as_object().unwrap().iter().flat_map(ways) {
            let config = settings(&expected["settings"], meta);
            let adapter = adapter(network, meta, golden, "init");
            let parameters = adapter.parameters(network);
            let mut optimizer = AdamW::new(
                AdamWConfig::from(&config),
                parameters.iter().map(|(name, var)| (name.as_str(), var.elem_count())),
            );
            let schedule = Schedule::new(&config, config.max_steps.unwrap() as u64);
            let rows = rows(network, golden, "train");
            let mut micro = rows.chunks(config.per_device_train_batch_size);
            let mut gradients = Gradients::zeros(parameters);
            let near = |what: &str, found: f32, wanted: f32, floor: f32| {
                let tolerance = 4.0 * floor + 1e-6 * wanted.abs();
                assert!((found - wanted).abs() <= tolerance, "{kind} {run} {what}: {found} expected {wanted}");
            };
            for (step, expected_step) in expected["steps"].as_array().unwrap().iter().enumerate() {
                gradients.clear();
                let expected_losses = expected_step["micro_losses"].as_array().unwrap();
                let batches: Vec<Batch> =
                    expected_losses.iter().map(|_| Batch::pack(micro.next().unwrap(), Some(0))).collect();
                let options = options(network, 1.0 / config.gradient_accumulation_steps as f64);
                let mut pass = |batches: &[Batch]| {
                    accumulate(network, &adapter, batches, options, &vec![0; batches.len()], &mut gradients).unwrap()
                };
                let losses =
                    if joined { pass(&batches) } else { batches.iter().map(|b| pass(from_ref(b))[0]).collect() };
                for (i, (loss, wanted)) in losses.iter().zip(expected_losses).enumerate() {
                    let floor = floor(expected, &["noise_floor", "loss"]);
                    near(&format!("step {step} micro loss {i}"), loss.mean, wanted.as_f64().unwrap() as f32, floor);
                }
                let mut named: Vec<(&str, &mut [f32])> =
                    parameters.iter().zip(gradients.slices_mut()).map(|((name, _), g)| (name.as_str(), g)).collect();
                let norm = clip_grad_norm(&mut named, config.max_grad_norm).unwrap();
                let floor = floor(expected, &["noise_floor", "grad_norm"]);
                near(
                    &format!("step {step} norm"),
                    norm,
                    expected_step["grad_norm_before_clip"].as_f64().unwrap() as f32,
                    floor,
                );
                assert_eq!(schedule.rate(step as u64), expected_step["lr_used"].as_f64().unwrap());
                update(network, &mut optimizer, parameters, &gradients, schedule.rate(step as u64));
            }
            for (name, var) in parameters {
                if !golden.has(&format!("run_{run}.final.{name}")) {
                    continue; // The goldens keep the final values of some settings only; losses and norms are all there.
                }
                let found: Vec<f32> = var.flatten_all().unwrap().to_vec1().unwrap();
                let difference = largest_difference(&found, golden.floats(&format!("run_{run}.final.{name}")).1);
                let tolerance = 4.0 * floor(expected, &["noise_floor", "final", name]);
                assert!(difference <= tolerance, "{kind} {run} {name}: {difference} > {tolerance}");
            }
        }
    });
}

#[test]
fn quantized_bases_give_the_official_losses_and_gradients() {
    for (folder, bits) in FOLDERS.into_iter().flat_map(|folder| [(folder, 4), (folder, 8)]) {
        let quantized = format!("{folder}/quant-int{bits}");
        if !fixture(&quantized).exists() {
            eprintln!("skipped: the fixtures have no {quantized}");
            continue;
        }
        let noproj = Golden::open(&format!("{folder}/ptuning-noproj.safetensors"));
        let meta = json(&format!("{folder}/ptuning-noproj.json"));
        let golden = Golden::open(&format!("{quantized}/expected.safetensors"));
        let scheme = if bits == 4 { Scheme::Int4 } else { Scheme::Int8 };
        for network in [network(&quantized), network_as(&format!("{folder}/model"), scheme)] {
            let folder = &quantized;
            let batch = Batch::pack(&rows(&network, &golden, "batch"), Some(0));
            let bare = glm_train::step::evaluate(&network, &Default::default(), &batch).unwrap().unwrap();
            let expected = golden.floats("loss").1[0];
            assert!((bare.mean - expected).abs() < 1.3e-6 * expected, "{folder}: {} expected {expected}", bare.mean);
            if !golden.has("ptuning.loss") {
                continue;
            }
            let adapter = adapter(&network, &meta, &noproj, "init");
            let parameters = adapter.parameters(&network);
            let mut gradients = Gradients::zeros(parameters);
            let options = options(&network, 1.0);
            let loss = accumulate(&network, &adapter, from_ref(&batch), options, &[0], &mut gradients).unwrap()[0];
            let expected = golden.floats("ptuning.loss").1[0];
            assert!((loss.mean - expected).abs() < 1.3e-6 * expected, "{folder}: {} expected {expected}", loss.mean);
            for ((name, _), found) in parameters.iter().zip(gradients.slices()) {
                let difference = largest_difference(found, golden.floats(&format!("ptuning.grad.{name}")).1);
                let tolerance = 8.0 * floor(&meta, &["noise_floor", "grad", name]);
                assert!(difference <= tolerance, "{folder} {name}: {difference} > {tolerance}");
            }
        }
    }
}

#[test]
fn every_scheme_gives_every_tensor_a_gradient() {
    use glm_model::DenseType::{Bf16, F16, F32};
    let dense = [F32, Bf16, F16].map(|dtype| Scheme::Dense { dtype: Some(dtype) });
    let schemes = dense.into_iter().chain([Scheme::Int8, Scheme::Int4, Scheme::Int4Group { group: 32 }]);
    let schemes: Vec<Scheme> = schemes.collect();
    every_encoder(|file, stored, golden, meta| {
        let batch = Batch::pack(&rows(stored, golden, "batch"), Some(0));
        let folder = fixture(file).with_file_name("model");
        for &scheme in &schemes {
            let load = LoadOptions { scheme, ..LoadOptions::default() };
            let network = match Network::load(&folder, load, &mut |_, _| {}) {
                Ok(network) => network,
                Err(e) if e.to_string().contains("multiple of the group width") => {
                    eprintln!("skipped: {scheme} does not fit the widths of this fixture ({e})");
                    continue;
                }
                Err(e) => panic!("{scheme}: {e}"),
            };
            let Adapter::Prefix { encoder, .. } = adapter(&network, meta, golden, "init") else { unreachable!() };
            let adapter = Adapter::Prefix { encoder, dropout: 0.1 };
            let parameters = adapter.parameters(&network);
            let mut gradients = Gradients::zeros(parameters);
            let options = options(&network, 1.0);
            let loss = accumulate(&network, &adapter, from_ref(&batch), options, &[3], &mut gradients).unwrap()[0];
            assert!(loss.mean.is_finite(), "{file} {scheme}");
            for ((name, _), gradient) in parameters.iter().zip(gradients.slices()) {
                let moved = gradient.iter().filter(|g| **g != 0.0).count();
                let all = gradient.len();
                assert!(moved * 10 > all * 8, "{file} {scheme}: {name} has only {moved} of {all}");
            }
        }
    });
}
