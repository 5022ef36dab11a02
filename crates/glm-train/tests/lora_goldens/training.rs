//! Dropout, blocks that need no backward pass, every form of every base.

use crate::support::{AS_STORED, FOLDERS, cases, floats, gradients, network, options, prefix, rows, trained};
use glm_data::Batch;
use glm_model::adapter::{LoraAdapter, LoraConfig, Site};
use glm_model::{DenseType, LoadOptions, Network, Scheme};
use glm_testkit::{Golden, fixture};
use glm_train::Adapter;
use glm_train::step::{Gradients, StepOptions, accumulate};
use std::collections::BTreeSet;

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

/// All linear layers, the last block's among them, which computes only the rows that are read; and a prefix.
#[test]
fn micro_batches_that_go_together_drop_what_they_drop_alone() {
    let (_, network, _, golden, _) = cases().next().unwrap();
    let all = LoraConfig { dropout: 0.3, targets: BTreeSet::from(Site::ALL), ..LoraConfig::default() };
    let rows = rows(network.config().variant, &golden, "batch");
    let batches: Vec<Batch> = rows.chunks(1).map(|row| Batch::pack(row, Some(0))).collect();
    assert!(batches.len() > 1, "one row cannot be joined");
    let seeds: Vec<u64> = (0..batches.len() as u64).map(|i| 40 + i).collect();
    for adapter in [trained(&network, all), prefix(network.config(), false)] {
        let run = |passes: &[(&[Batch], &[u64])]| {
            let mut gradients = Gradients::zeros(adapter.parameters(&network));
            let of_pass = |(batches, seeds): &(&[Batch], &[u64])| {
                accumulate(&network, &adapter, batches, options(&network, 0.5), seeds, &mut gradients).unwrap()
            };
            let losses: Vec<f32> = passes.iter().flat_map(of_pass).map(|loss| loss.mean).collect();
            (losses, gradients.slices().flatten().copied().collect::<Vec<f32>>())
        };
        let alone: Vec<(&[Batch], &[u64])> = batches.chunks(1).zip(seeds.chunks(1)).collect();
        let ((losses, gradients), (apart, sums)) = (run(&[(&batches, &seeds)]), run(&alone));
        let difference = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let largest = sums.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        assert!(difference(&losses, &apart) < 1e-5, "{losses:?} {apart:?}");
        assert!(difference(&gradients, &sums) < 1e-5 * largest, "{} of {largest}", difference(&gradients, &sums));
        let turned: Vec<u64> = seeds.iter().rev().copied().collect();
        assert!(difference(&run(&[(&batches, &turned)]).1, &sums) > 1e-3 * largest, "the seeds decide nothing");
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

#[test]
fn every_adapter_over_every_form_of_every_base_gets_a_gradient_for_every_tensor() {
    let dense = [DenseType::F32, DenseType::Bf16, DenseType::F16].map(|dtype| Scheme::Dense { dtype: Some(dtype) });
    let made = dense.into_iter().chain([Scheme::Int8, Scheme::Int4, Scheme::Int4Group { group: 32 }]);
    let made: Vec<(&str, Scheme)> = made.map(|scheme| ("model", scheme)).collect();
    let stored = [("quant-int4", AS_STORED), ("quant-int8", AS_STORED)];
    for folder in FOLDERS {
        let golden = Golden::open(&format!("{folder}/lora/all.safetensors"));
        for (base, scheme) in made.iter().copied().chain(stored) {
            let load = LoadOptions { scheme, ..LoadOptions::default() };
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
