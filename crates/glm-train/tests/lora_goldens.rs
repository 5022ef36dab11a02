//! LoRA against peft over the official code: loss, every gradient, six optimizer steps, logits, merged weights; then what
//! no golden says: dropout, quantized bases, blocks that need no backward pass.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

use candle_core::{Tensor, Var};
use glm_data::{Batch, IGNORE_INDEX, Positions, Rng, TrainRow, Variant};
use glm_model::adapter::{
    AdapterFile, AdapterSlots, LoadedAdapter, LoraAdapter, LoraConfig, PrefixConfig, PrefixEncoder,
};
use glm_model::adapter::{Site, open};
use glm_model::{DenseType, GlmConfig, LoadOptions, Network, Scheme};
use glm_testkit::{Golden, fixture, json, largest_difference, relative_error};
use glm_train::clip::clip_grad_norm;
use glm_train::optim::{AdamW, AdamWConfig, Norms, ParamSlice, decays};
use glm_train::schedule::Schedule;
use glm_train::step::{Gradients, Loss, StepOptions, accumulate};
use glm_train::{Adapter, TrainConfig};
use serde_json::Value;
use std::collections::BTreeSet;

const FOLDERS: [&str; 1] = ["glm2-tiny"];
const KINDS: [&str; 2] = ["qkv", "all"];
const AS_STORED: Scheme = Scheme::Dense { dtype: None };

fn network(folder: &str, scheme: Scheme) -> Network {
    let options = LoadOptions { scheme, trainable: false };
    Network::load(&fixture(folder), options, &mut |_, _| {}).unwrap()
}

fn lora(folder: &str, kind: &str, base: &GlmConfig) -> LoraAdapter {
    let file = open(&fixture(&format!("{folder}/lora/adapter-{kind}"))).unwrap();
    assert!(matches!(file, AdapterFile::Lora(_)), "{folder} {kind} is a {}", file.kind());
    match file.load(base).unwrap() {
        LoadedAdapter::Lora(adapter) => adapter,
        LoadedAdapter::Prefix(_) => panic!("{folder} {kind} became a prefix"),
    }
}

/// Every folder and kind with its network, golden and settings.
fn cases() -> impl Iterator<Item = (String, Network, LoraAdapter, Golden, Value)> {
    FOLDERS.into_iter().flat_map(|folder| {
        KINDS.into_iter().map(move |kind| {
            let network = network(&format!("{folder}/model"), AS_STORED);
            let adapter = lora(folder, kind, network.config());
            let golden = Golden::open(&format!("{folder}/lora/{kind}.safetensors"));
            (format!("{folder} {kind}"), network, adapter, golden, json(&format!("{folder}/lora/{kind}.json")))
        })
    })
}

/// Place of the context's end and of the mask token, as the official model finds them: `<sop>` begins the answer, and the
/// token before it is the mask.
fn positions(variant: Variant, labels: &[i64]) -> Positions {
    match variant {
        Variant::ChatGlm2 | Variant::ChatGlm3 => Positions::Linear,
        Variant::ChatGlm => {
            let context_len = labels.iter().position(|l| *l != IGNORE_INDEX).unwrap_or(labels.len());
            Positions::Block { context_len, mask_position: context_len - 1 }
        }
    }
}

/// Rows of padded ids and labels without the padding on the right, which carries no label.
fn rows(variant: Variant, golden: &Golden, prefix: &str) -> Vec<TrainRow> {
    let ids = golden.integer_rows(&format!("{prefix}.input_ids"));
    let labels = golden.integer_rows(&format!("{prefix}.labels"));
    let row = |(source, (ids, labels)): (usize, (&Vec<i64>, &Vec<i64>))| {
        let len = labels.iter().rposition(|l| *l != IGNORE_INDEX).map_or(ids.len(), |last| last + 1);
        let positions = positions(variant, labels);
        let ids = ids[..len].iter().map(|i| *i as u32).collect();
        TrainRow { ids, labels: labels[..len].to_vec(), context_len: positions.context_len(), positions, source }
    };
    ids.iter().zip(&labels).enumerate().map(row).collect()
}

fn options(network: &Network, scale: f64) -> StepOptions {
    StepOptions { kept_blocks: network.config().num_layers, scale, step: 1 }
}

fn floor(meta: &Value, path: &[&str]) -> f32 {
    let value = path.iter().fold(meta, |v, key| &v[key]);
    value.as_f64().unwrap_or_else(|| panic!("no {path:?}")) as f32
}

/// A floor of 0 means that the noise changed no bit; a few units in the last place are allowed then.
fn close(what: &str, found: f32, expected: f32, floor: f32) {
    let tolerance = (4.0 * floor).max(4.0 * f32::EPSILON * expected.abs());
    assert!((found - expected).abs() <= tolerance, "{what}: {found} expected {expected} within {tolerance}");
}

fn gradients(
    network: &Network,
    adapter: &Adapter,
    batch: &Batch,
    options: StepOptions,
    seed: u64,
) -> (Loss, Gradients) {
    let mut gradients = Gradients::zeros(adapter.parameters(network));
    let loss = accumulate(network, adapter, batch, options, &mut Rng::new(seed), &mut gradients).unwrap();
    (loss, gradients)
}

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
            for wanted in expected["micro_losses"].as_array().unwrap() {
                let batch = Batch::pack(&rows(variant, &golden, &format!("micro.{micro}")), adapter.slot());
                let options = options(&network, 1.0 / config.gradient_accumulation_steps as f64);
                let loss = accumulate(&network, &adapter, &batch, options, &mut Rng::new(0), &mut gradients).unwrap();
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

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn logits_with_the_adapter() {
    let mut compared = 0;
    for (name, network, lora, golden, meta) in cases().filter(|(.., golden, _)| golden.has("eval.logits")) {
        let mut slots = AdapterSlots::default();
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
                weight.row(i, &mut row);
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

#[test]
fn dropout_is_the_same_when_blocks_are_recomputed_and_differs_from_batch_to_batch() {
    for (name, network, lora, golden, _) in cases() {
        let mut config = lora.config().clone();
        config.dropout = 0.25;
        let values =
            |name: &str| lora.parameters().iter().find(|(n, _)| n == name).map(|(_, var)| floats(var)).unwrap();
        let places = lora.places().to_vec();
        let with_dropout = LoraAdapter::from_values(config, network.config(), places, |name, _| values(name)).unwrap();
        let batch = Batch::pack(&rows(network.config().variant, &golden, "batch"), Some(0));
        let adapter = Adapter::Lora(with_dropout);
        let run = |adapter: &Adapter, kept_blocks, seed| {
            gradients(&network, adapter, &batch, StepOptions { kept_blocks, scale: 1.0, step: 1 }, seed)
        };
        let (kept_loss, kept) = run(&adapter, network.config().num_layers, 7);
        let (recomputed_loss, recomputed) = run(&adapter, 0, 7);
        assert_eq!(kept_loss, recomputed_loss, "{name}");
        assert!(kept.slices().eq(recomputed.slices()), "{name}: recomputing changed a gradient");
        let (other, _) = run(&adapter, 0, 8);
        let (without, _) = run(&Adapter::Lora(lora.clone()), 0, 7);
        assert!(other.mean != kept_loss.mean && without.mean != kept_loss.mean, "{name}");
    }
}

#[test]
fn the_gradient_with_dropout_is_the_slope_of_the_loss() {
    let (_, network, lora, golden, _) = cases().next().unwrap();
    let config = LoraConfig { dropout: 0.3, ..lora.config().clone() };
    let batch = Batch::pack(&rows(network.config().variant, &golden, "batch"), Some(0));
    let adapter_at = |moved: Option<(usize, usize, f32)>| {
        let mut index = 0;
        let values = |_: &str, _: [usize; 2]| {
            let mut values = floats(&lora.parameters()[index].1);
            if let Some((_, element, by)) = moved.filter(|(tensor, ..)| *tensor == index) {
                values[element] += by;
            }
            index += 1;
            values
        };
        let made = LoraAdapter::from_values(config.clone(), network.config(), lora.places().to_vec(), values);
        Adapter::Lora(made.unwrap())
    };
    let run = |adapter: &Adapter| gradients(&network, adapter, &batch, options(&network, 1.0), 5);
    let (_, exact) = run(&adapter_at(None));
    for (tensor, gradient) in exact.slices().enumerate() {
        let largest = (0..gradient.len()).max_by(|a, b| gradient[*a].abs().total_cmp(&gradient[*b].abs())).unwrap();
        let step = 2e-3;
        let at = |by| f64::from(run(&adapter_at(Some((tensor, largest, by)))).0.mean);
        let slope = (at(step) - at(-step)) / (2.0 * f64::from(step));
        let expected = f64::from(gradient[largest]);
        assert!((slope - expected).abs() <= 0.02 * expected.abs() + 1e-3, "{tensor}: {slope} expected {expected}");
    }
}

#[test]
fn nothing_runs_backward_below_the_lowest_block_that_trains() {
    for folder in FOLDERS {
        let network = network(&format!("{folder}/model"), AS_STORED);
        let golden = Golden::open(&format!("{folder}/lora/qkv.safetensors"));
        let batch = Batch::pack(&rows(network.config().variant, &golden, "batch"), Some(0));
        let blocks = network.config().num_layers;
        let whole = LoraConfig { rank: 2, dropout: 0.0, init: Default::default(), ..LoraConfig::default() };
        let all = trained(&network, whole.clone());
        let (_, reference) = gradients(&network, &all, &batch, options(&network, 1.0), 0);
        assert_eq!(reference.backward_blocks(), blocks);
        for lowest in 0..blocks {
            let layers: BTreeSet<usize> = (lowest..blocks).collect();
            // The same values as in the whole adapter, with zeros below, which change nothing above.
            let Adapter::Lora(full) = &all else { unreachable!() };
            let config = LoraConfig { layers: Some(layers), ..whole.clone() };
            let places = config.places(network.config());
            let value = |name: &str| full.parameters().iter().find(|(n, _)| n == name).map(|(_, v)| floats(v)).unwrap();
            let part = LoraAdapter::from_values(config, network.config(), places, |name, _| value(name)).unwrap();
            for kept_blocks in [0, blocks] {
                let options = StepOptions { kept_blocks, ..options(&network, 1.0) };
                let (loss, found) = gradients(&network, &Adapter::Lora(part.clone()), &batch, options, 0);
                assert!(loss.mean.is_finite());
                assert_eq!(found.backward_blocks(), blocks - lowest, "{folder}: LoRA from block {lowest} on");
                assert!(found.slices().all(|g| g.iter().any(|g| *g != 0.0)), "{folder}: a tensor got no gradient");
            }
        }
    }
}

/// An adapter whose `B` is not 0, so that every tensor has a gradient.
fn trained(network: &Network, config: LoraConfig) -> Adapter {
    let mut rng = Rng::new(11);
    let places = config.places(network.config());
    let values = |_: &str, [rows, columns]: [usize; 2]| (0..rows * columns).map(|_| 0.05 * rng.normal()).collect();
    Adapter::Lora(LoraAdapter::from_values(config, network.config(), places, values).unwrap())
}

#[test]
fn every_adapter_over_every_form_of_every_base_gets_a_gradient_for_every_tensor() {
    let dense = [DenseType::F32, DenseType::Bf16, DenseType::F16].map(|dtype| Scheme::Dense { dtype: Some(dtype) });
    let made = dense.into_iter().chain([Scheme::Int8, Scheme::Int4, Scheme::Int4Group { group: 32 }]);
    let made: Vec<(&str, Scheme)> = made.map(|scheme| ("model", scheme)).collect();
    let stored = [("quant-int4", AS_STORED), ("quant-int8", AS_STORED)];
    for folder in FOLDERS {
        let golden = Golden::open(&format!("{folder}/lora/all.safetensors"));
        for (base, scheme) in made.iter().copied().chain(stored) {
            let load = LoadOptions { scheme, trainable: false };
            let network = match Network::load(&fixture(&format!("{folder}/{base}")), load, &mut |_, _| {}) {
                Ok(network) => network,
                Err(e) if e.to_string().contains("multiple of the group width") => {
                    eprintln!("skipped: {scheme} does not fit the widths of {folder} ({e})");
                    continue;
                }
                Err(e) => panic!("{folder} {scheme}: {e}"),
            };
            let config = network.config();
            let batch = Batch::pack(&rows(config.variant, &golden, "batch"), Some(0));
            let targets = BTreeSet::from(Site::ALL);
            let adapters = [
                trained(&network, LoraConfig { rank: 3, dropout: 0.1, targets, ..LoraConfig::default() }),
                trained(&network, LoraConfig { rank: 2, dropout: 0.0, use_rslora: true, ..LoraConfig::default() }),
                prefix(config, false),
                prefix(config, true),
            ];
            for adapter in &adapters {
                let (loss, gradients) = gradients(&network, adapter, &batch, options(&network, 1.0), 3);
                assert!(loss.mean.is_finite(), "{folder} {scheme}");
                for ((name, _), gradient) in adapter.parameters(&network).iter().zip(gradients.slices()) {
                    let moved = gradient.iter().filter(|g| **g != 0.0).count();
                    assert!(moved * 10 > gradient.len() * 8, "{folder} {base} {scheme}: {name} has only {moved}");
                }
            }
        }
    }
}

fn prefix(base: &GlmConfig, projection: bool) -> Adapter {
    let encoder = PrefixEncoder::new(PrefixConfig::new(base, 5, projection), &mut Rng::new(2)).unwrap();
    Adapter::Prefix { encoder, dropout: 0.1 }
}

#[test]
fn rows_of_one_batch_may_use_base_prefix_and_lora() {
    for folder in FOLDERS {
        let network = network(&format!("{folder}/model"), AS_STORED);
        let config = network.config();
        let golden = Golden::open(&format!("{folder}/lora/all.safetensors"));
        let rows = rows(config.variant, &golden, "batch");
        let mut slots = AdapterSlots::default();
        let Adapter::Prefix { encoder, .. } = prefix(config, false) else { unreachable!() };
        let second = PrefixEncoder::new(PrefixConfig::new(config, 3, false), &mut Rng::new(9)).unwrap();
        let used = [
            None,
            Some(slots.add(&encoder).unwrap()),
            Some(slots.add_lora(&lora(folder, "all", config))),
            Some(slots.add(&second).unwrap()),
            Some(slots.add_lora(&lora(folder, "qkv", config))),
        ];
        let logits = |batch: &Batch| {
            let hidden = network.forward(batch, &slots.inputs(&batch.segments).unwrap()).unwrap();
            network.logits(&hidden).unwrap()
        };
        let mut mixed = Batch::default();
        let order: Vec<(&TrainRow, Option<usize>)> =
            rows.iter().flat_map(|row| used.iter().rev().map(move |slot| (row, *slot))).collect();
        order.iter().for_each(|(row, slot)| mixed.push(&row.ids, 0, row.positions, *slot, 0));
        let together = logits(&mixed);
        for (segment, (row, slot)) in mixed.segments.iter().zip(&order) {
            let mut alone = Batch::default();
            alone.push(&row.ids, 0, row.positions, *slot, 0);
            let found = floats(&together.narrow(0, segment.start, segment.len).unwrap());
            let error = relative_error(&found, &floats(&logits(&alone)));
            assert!(error < 1e-5, "{folder} slot {slot:?}: {error}");
            let mut bare = Batch::default();
            bare.push(&row.ids, 0, row.positions, None, 0);
            let change = relative_error(&found, &floats(&logits(&bare)));
            assert_eq!(change > 1e-3, slot.is_some(), "{folder} slot {slot:?} changes the logits by {change}");
        }
    }
}
