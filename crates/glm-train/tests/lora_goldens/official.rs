//! What peft gives on the same rows.

use crate::support::{cases, close, floats, floor, gradients, options, rows};
use candle_core::{Tensor, Var};
use glm_data::{Batch, Positions, Variant};
use glm_model::adapter::{AdapterSlots, Site};
use glm_testkit::{Golden, largest_difference, relative_error};
use glm_train::clip::clip_grad_norm;
use glm_train::optim::{AdamW, AdamWConfig, Norms, ParamSlice, decays};
use glm_train::schedule::Schedule;
use glm_train::step::{Gradients, StepOptions, accumulate};
use glm_train::{Adapter, TrainConfig};
use serde_json::Value;

#[test]
fn loss_and_every_gradient_under_every_policy() {
    for (name, network, lora, golden, meta) in cases() {
        let adapter = Adapter::Lora(lora);
        let batch = Batch::pack(&rows(network.config().variant, &golden, "batch"), adapter.slot());
        let mut first: Option<Gradients> = None;
        for kept_blocks in [network.config().num_layers, 1, 0] {
            let options = StepOptions { kept_blocks, ..options(&network, 1.0) };
            let (loss, gradients) = gradients(&network, &adapter, &batch, options, 0);
            close(&name, loss.mean, golden.floats("loss").1[0], floor(&meta, &["noise_floor", "loss"]));
            let parameters = adapter.parameters(&network);
            assert_eq!(parameters.len(), golden.names("grad.").len());
            for ((tensor, _), found) in parameters.iter().zip(gradients.slices()) {
                let difference = largest_difference(found, golden.floats(&format!("grad.{tensor}")).1);
                let tolerance = 4.0 * floor(&meta, &["noise_floor", "grad", tensor]);
                assert!(difference <= tolerance, "{name} {tensor}: {difference} > {tolerance}");
                assert!(found.iter().any(|g| *g != 0.0), "{tensor} got no gradient");
            }
            // Recomputing changes no bit.
            match &first {
                None => first = Some(gradients),
                Some(first) => assert!(first.slices().eq(gradients.slices()), "{name}: kept {kept_blocks}"),
            }
        }
    }
}

fn settings(settings: &Value) -> TrainConfig {
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
        gradient_accumulation_steps: number("gradient_accumulation_steps") as usize,
        ..TrainConfig::default()
    }
}

#[test]
fn optimizer_steps_as_the_official_trainer_makes_them() {
    for (name, network, lora, golden, meta) in cases() {
        let Some(run) = meta.get("run").filter(|run| run.is_object()) else { continue };
        let variant = network.config().variant;
        let config = settings(&run["settings"]);
        let adapter = Adapter::Lora(lora);
        let parameters = adapter.parameters(&network);
        let sizes = parameters.iter().map(|(name, var)| (name.as_str(), var.elem_count()));
        let mut optimizer = AdamW::new(AdamWConfig::from(&config), sizes);
        let schedule = Schedule::new(&config, config.max_steps.unwrap() as u64);
        let noise = floor(run, &["noise_floor", "loss"]);
        let mut micro = 0;
        for (step, expected) in run["steps"].as_array().unwrap().iter().enumerate() {
            let mut gradients = Gradients::zeros(parameters);
            let wanted = expected["micro_losses"].as_array().unwrap();
            let pack = |n: usize| Batch::pack(&rows(variant, &golden, &format!("micro.{n}")), adapter.slot());
            let batches: Vec<Batch> = (micro..micro + wanted.len()).map(pack).collect();
            let options = options(&network, 1.0 / config.gradient_accumulation_steps as f64);
            // Every other step one by one, as officially.
            let passes = if step % 2 == 0 { vec![&batches[..]] } else { batches.chunks(1).collect() };
            let losses = passes.into_iter().flat_map(|batches| {
                accumulate(&network, &adapter, batches, options, &vec![0; batches.len()], &mut gradients).unwrap()
            });
            for (loss, wanted) in losses.zip(wanted) {
                close(&format!("{name} micro {micro}"), loss.mean, wanted.as_f64().unwrap() as f32, noise);
                micro += 1;
            }
            let mut named: Vec<(&str, &mut [f32])> =
                parameters.iter().zip(gradients.slices_mut()).map(|((name, _), g)| (name.as_str(), g)).collect();
            let norm = clip_grad_norm(&mut named, config.max_grad_norm).unwrap();
            let wanted = expected["grad_norm_before_clip"].as_f64().unwrap() as f32;
            assert!((norm - wanted).abs() <= 1e-5 * wanted, "{name} step {step}: norm {norm} expected {wanted}");
            let rate = schedule.rate(step as u64);
            assert_eq!(rate, expected["lr_used"].as_f64().unwrap(), "{name} step {step}");
            update(&mut optimizer, parameters, &gradients, rate);
        }
        for (tensor, var) in parameters {
            let found: Vec<f32> = var.flatten_all().unwrap().to_vec1().unwrap();
            let difference = largest_difference(&found, golden.floats(&format!("run.final.{tensor}")).1);
            let tolerance = 4.0 * floor(run, &["noise_floor", "final", tensor]);
            assert!(difference <= tolerance, "{name} {tensor}: {difference} > {tolerance}");
        }
        let batch = Batch::pack(&rows(variant, &golden, "batch"), adapter.slot());
        let (loss, _) = gradients(&network, &adapter, &batch, options(&network, 1.0), 0);
        close(&format!("{name} after"), loss.mean, run["loss_on_batch_after"].as_f64().unwrap() as f32, noise);
    }
}

fn update(optimizer: &mut AdamW, parameters: &[(String, Var)], gradients: &Gradients, rate: f64) {
    let mut values: Vec<Vec<f32>> =
        parameters.iter().map(|(_, var)| var.flatten_all().unwrap().to_vec1().unwrap()).collect();
    let mut slices: Vec<ParamSlice<'_>> = parameters
        .iter()
        .zip(&mut values)
        .zip(gradients.slices())
        .map(|(((name, _), value), grad)| ParamSlice { name, value, grad, decay: decays(name, Norms::LayerNorm) })
        .collect();
    assert!(slices.iter().all(|slice| slice.decay), "torch decays every tensor of LoRA");
    optimizer.step(rate, &mut slices).unwrap();
    for ((_, var), values) in parameters.iter().zip(values) {
        var.set(&Tensor::from_vec(values, var.dims(), var.device()).unwrap()).unwrap();
    }
}

/// Left-padded rows without their padding, and where each begins.
fn prompts(variant: Variant, golden: &Golden, meta: &Value) -> Vec<(Vec<u32>, Positions, usize)> {
    let ids = golden.integer_rows("eval.input_ids");
    let position_ids = golden.integers("eval.position_ids");
    let pad = &meta["pad_token_id"];
    ids.iter()
        .enumerate()
        .map(|(row, ids)| {
            let width = ids.len();
            let (first, positions) = match variant {
                Variant::ChatGlm2 | Variant::ChatGlm3 => {
                    let mask = &golden.integer_rows("eval.attention_mask")[row];
                    (mask.iter().position(|m| *m == 1).unwrap(), Positions::Linear)
                }
                Variant::ChatGlm => {
                    let blocks = &position_ids.1[(2 * row + 1) * width..(2 * row + 2) * width];
                    let places = &position_ids.1[2 * row * width..(2 * row + 1) * width];
                    let context = blocks.iter().position(|b| *b > 0).unwrap();
                    let first = context - places[..context].iter().rev().take_while(|p| **p > 0).count() - 1;
                    let mask_position = places[context] as usize;
                    (first, Positions::Block { context_len: context - first, mask_position })
                }
            };
            assert!(ids[..first].iter().all(|id| pad.is_null() || pad.as_i64() == Some(*id)), "padding is on the left");
            (ids[first..].iter().map(|i| *i as u32).collect(), positions, first)
        })
        .collect()
}

#[test]
fn logits_with_the_adapter() {
    let mut compared = 0;
    for (name, network, lora, golden, meta) in cases().filter(|(.., golden, _)| golden.has("eval.logits")) {
        let slots = AdapterSlots::default();
        let slot = slots.add_lora(&lora);
        let prompts = prompts(network.config().variant, &golden, &meta);
        let mut batch = Batch::default();
        prompts.iter().for_each(|(ids, positions, _)| batch.push(ids, 0, *positions, Some(slot), 0));
        let hidden = network.forward(&batch, &slots.inputs(&batch.segments).unwrap()).unwrap();
        let logits = network.logits(&hidden).unwrap();
        let (shape, expected) = golden.floats("eval.logits");
        for (row, (segment, (.., first))) in batch.segments.iter().zip(&prompts).enumerate() {
            let found = floats(&logits.narrow(0, segment.start, segment.len).unwrap());
            let from = (row * shape[1] + first) * shape[2];
            let error = relative_error(&found, &expected[from..from + found.len()]);
            assert!(error < 1e-4, "{name} row {row}: {error}");
            compared += 1;
        }
    }
    assert!(compared > 0);
}

#[test]
fn merged_weights() {
    for (name, network, lora, golden, _) in cases() {
        let merged = golden.names("merged.");
        assert!(!merged.is_empty());
        for tensor in merged {
            let module = tensor.strip_prefix("merged.").unwrap().strip_suffix(".weight").unwrap();
            let at = |site: &Site| site.module(network.config(), 0) == module;
            let site = Site::ALL.into_iter().find(at).unwrap_or_else(|| panic!("no site {module}"));
            let delta = floats(&lora.weight_delta(0, site).unwrap().unwrap());
            let base = network.blocks()[0].linears()[site.index()].weight.shape().unwrap();
            let weight = match &network.blocks()[0].linears()[site.index()].weight {
                glm_model::glm::Weight::Frozen(weight) => weight.clone(),
                glm_model::glm::Weight::Trainable(_) => panic!("the base is frozen"),
            };
            let mut row = vec![0.0; base.1];
            let mut found = Vec::new();
            for i in 0..base.0 {
                weight.weight.row(i, &mut row);
                found.extend(row.iter().zip(&delta[i * base.1..]).map(|(w, d)| w + d));
            }
            let expected = golden.floats(tensor).1;
            let difference = largest_difference(&found, expected);
            let size = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
            assert!(difference <= 4.0 * f32::EPSILON * size, "{name} {tensor}: {difference}");
        }
        let absent = Site::ALL.into_iter().find(|site| !lora.config().targets.contains(site));
        assert!(absent.is_none_or(|site| lora.weight_delta(0, site).unwrap().is_none()));
    }
}
