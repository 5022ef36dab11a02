//! Some blocks train, or all in bf16 over f32 masters.

use crate::support::{FOLDERS, floor, options, rows, update};
use candle_core::Tensor;
use glm_data::{Batch, Rng};
use glm_model::export::{FolderOptions, FolderSource, Parameters, write_folder};
use glm_model::{AdapterInputs, DenseType, LoadOptions, Network, Scheme, Trains};
use glm_testkit::{Golden, fixture, json, largest_difference};
use glm_train::optim::{AdamW, AdamWConfig};
use glm_train::step::{Gradients, StepOptions, accumulate};
use glm_train::{Adapter, TrainConfig};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::slice::from_ref;

fn load(folder: &Path, dtype: Option<DenseType>, trains: Trains) -> Network {
    Network::load(
        folder,
        LoadOptions { scheme: Scheme::Dense { dtype }, trains, ..LoadOptions::default() },
        &mut |_, _| {},
    )
    .unwrap()
}

/// Folders of bases with the golden of their full fine-tuning.
fn bases() -> Vec<(&'static str, PathBuf, Golden)> {
    let has = |folder: &&str| fixture(&format!("{folder}/finetune.json")).exists();
    let bases = FOLDERS.into_iter().filter(has).map(|folder| {
        (folder, fixture(&format!("{folder}/model")), Golden::open(&format!("{folder}/finetune.safetensors")))
    });
    bases.collect()
}

/// One step of AdamW on the golden's batch; the blocks that were gone through backward.
fn step(network: &Network, batch: &Batch, rate: f64) -> usize {
    let parameters = Adapter::Full.parameters(network);
    let mut gradients = Gradients::zeros(parameters);
    accumulate(network, &Adapter::Full, from_ref(batch), options(network, 1.0), &mut Rng::new(0), &mut gradients)
        .unwrap()[0];
    let sizes = parameters.iter().map(|(name, var)| (name.as_str(), var.elem_count()));
    let mut optimizer = AdamW::new(AdamWConfig::from(&TrainConfig::default()), sizes);
    update(network, &mut optimizer, parameters, &gradients, rate);
    gradients.backward_blocks()
}

fn logits(network: &Network, batch: &Batch) -> Vec<f32> {
    let hidden = network.forward(batch, &AdapterInputs::default()).unwrap();
    network.logits(&hidden).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Weights that train and weights that are frozen are multiplied by different kernels, whose sums have another order.
fn same_answers(folder: &str, trained: &Network, saved: &Network, batch: &Batch) {
    let (trained, saved) = (logits(trained, batch), logits(saved, batch));
    let scale = saved.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let difference = largest_difference(&trained, &saved);
    assert!(difference <= 1e-5 * scale, "{folder}: {difference} of {scale}");
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn save(network: &Network, base: &Path, folder: &Path) {
    let files = FolderSource::open(base).unwrap();
    let trained = Parameters::new(network.config(), network.parameters(), Some(&files));
    let options = FolderOptions { dtype: Some(network.trained_type()), shard_size: 60_000, ..FolderOptions::default() };
    write_folder(&trained, base, folder, options, &mut |_, _| {}).unwrap();
}

#[test]
fn the_last_blocks_have_the_gradients_of_full_fine_tuning_and_alone_move() {
    for (folder, base, golden) in bases() {
        let meta = json(&format!("{folder}/finetune.json"));
        let all = load(&base, None, Trains::All);
        let before: Vec<(String, Vec<f32>)> =
            all.parameters().iter().map(|(name, var)| (name.clone(), values(var.as_tensor()))).collect();
        let layers = all.config().num_layers;
        for count in 1..=layers {
            let network = load(&base, None, Trains::LastBlocks(count));
            let batch = Batch::pack(&rows(&network, &golden, "batch"), None);
            let parameters = Adapter::Full.parameters(&network);
            assert_eq!(parameters.len() % count, 0);
            for kept_blocks in [0, layers] {
                let mut gradients = Gradients::zeros(parameters);
                let options = StepOptions { kept_blocks, ..options(&network, 1.0) };
                accumulate(&network, &Adapter::Full, from_ref(&batch), options, &mut Rng::new(0), &mut gradients)
                    .unwrap()[0];
                assert_eq!(gradients.backward_blocks(), count, "{folder}: no work below the lowest block that trains");
                for ((name, _), found) in parameters.iter().zip(gradients.slices()) {
                    let difference = largest_difference(found, golden.floats(&format!("grad.{name}")).1);
                    let tolerance = 4.0 * floor(&meta, &["noise_floor", "grad", name]);
                    assert!(difference <= tolerance, "{folder} {name}: {difference} > {tolerance}");
                }
            }
            step(&network, &batch, 1e-2);
            let room = tempfile::tempdir().unwrap();
            save(&network, &base, room.path());
            let trained: BTreeSet<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
            let reloaded = load(room.path(), None, Trains::All);
            for ((name, before), (_, after)) in before.iter().zip(reloaded.parameters()) {
                let moved = *before != values(after.as_tensor());
                assert_eq!(moved, trained.contains(name.as_str()), "{folder}, {count} blocks: {name}");
            }
            same_answers(folder, &network, &load(room.path(), None, Trains::Nothing), &batch);
        }
    }
}

#[test]
fn frozen_blocks_may_be_quantized_but_none_that_train() {
    for (folder, base, golden) in bases() {
        let options = |trains| LoadOptions { scheme: Scheme::Int8, trains, ..LoadOptions::default() };
        let network = Network::load(&base, options(Trains::LastBlocks(1)), &mut |_, _| {}).unwrap();
        let batch = Batch::pack(&rows(&network, &golden, "batch"), None);
        assert_eq!(step(&network, &batch, 1e-2), 1, "{folder}");
        let layers = network.config().num_layers;
        for (trains, expected) in [
            (Trains::All, "weights that train cannot be held as INT8"),
            (Trains::LastBlocks(0), "the last 0 blocks cannot train"),
            (Trains::LastBlocks(layers + 1), "choose 1 to"),
        ] {
            let error = Network::load(&base, options(trains), &mut |_, _| {}).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}

#[test]
fn bf16_weights_are_seen_rounded_and_saved_so_while_their_masters_move_by_less() {
    for (folder, base, golden) in bases() {
        for trains in [Trains::All, Trains::LastBlocks(1)] {
            let bf16 = Some(DenseType::Bf16);
            let network = load(&base, bf16, trains);
            assert_eq!(network.trained_type(), DenseType::Bf16);
            let batch = Batch::pack(&rows(&network, &golden, "batch"), None);
            let seen = logits(&network, &batch);
            // Far less than a bfloat16 can tell apart: the masters move, what is seen of most weights does not.
            let before: Vec<Vec<f32>> = network.parameters().iter().map(|(_, var)| values(var.as_tensor())).collect();
            step(&network, &batch, 1e-6);
            let moved = network.parameters().iter().zip(&before).map(|((_, var), before)| {
                values(var.as_tensor()).iter().zip(before).filter(|(after, before)| after != before).count()
            });
            assert!(moved.sum::<usize>() > 0, "{folder}");
            step(&network, &batch, 1e-2);
            assert!(seen != logits(&network, &batch), "{folder}: a large step is seen");
            let room = tempfile::tempdir().unwrap();
            save(&network, &base, room.path());
            same_answers(folder, &network, &load(room.path(), None, Trains::Nothing), &batch);
        }
    }
}
