//! Training weights of the base itself: all, the last layers, in bf16.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use glm_model::weights::{ElementType, WeightFolder};
use std::collections::BTreeSet;
use support::World;

const TRAIN: &str = "train --do_train --train_file train.json --model_name_or_path base --max_steps 4 --save_steps 2 \
    --max_source_length 64 --max_target_length 32 --per_device_train_batch_size 2 --learning_rate 1e-3 --threads 1";

/// Names of the tensors whose values differ.
fn moved(world: &World, run: &str) -> BTreeSet<String> {
    let [base, tuned] = ["base", run].map(|name| WeightFolder::open(&world.path(name)).unwrap());
    let values = |folder: &WeightFolder, name: &str| folder.get(name).and_then(|tensor| tensor.all_f32()).unwrap();
    tuned.names().filter(|name| values(&base, name) != values(&tuned, name)).map(str::to_owned).collect()
}

#[test]
fn the_last_layer_trains_alone_and_a_resumed_run_equals_the_whole() {
    let world = World::new();
    let freeze = format!("{TRAIN} --method freeze --num_layer_trainable 1");
    let said = world.ok(&format!("{freeze} --output_dir whole"));
    for part in ["weights of the last 1 layers: ", "the weights moved by ‖Δ‖ = "] {
        assert!(said.contains(part), "{said}\nlacks {part}");
    }
    let last = world.json("base/config.json")["num_layers"].as_u64().unwrap() - 1;
    let moved = moved(&world, "whole/checkpoint-4");
    assert!(!moved.is_empty() && moved.iter().all(|name| name.contains(&format!(".layers.{last}."))), "{moved:?}");
    world.ok(&format!("{freeze} --output_dir resumed --resume_from_checkpoint whole/checkpoint-2"));
    for file in ["model.safetensors", "training_state.safetensors"] {
        let bytes = |run: &str| std::fs::read(world.path(&format!("{run}/checkpoint-4/{file}"))).unwrap();
        assert!(bytes("whole") == bytes("resumed"), "{file} of a resumed run differs");
    }
    let other = freeze.replace("trainable 1", "trainable 2");
    let said = world.fails(&format!("{other} --output_dir no --resume_from_checkpoint whole/checkpoint-2"));
    assert!(said.contains("the weights that train was those of the last 1 blocks"), "{said}");
    let said = world
        .fails(&freeze.replace("trainable 1", "trainable 100").replace("--max_steps", "--output_dir more --max_steps"));
    assert!(said.contains("--num_layer_trainable 100: "), "{said}");
}

#[test]
fn bf16_weights_are_saved_in_bf16_and_their_masters_in_f32() {
    let world = World::new();
    let bf16 = format!("{TRAIN} --method full --base_dtype bf16");
    world.ok(&format!("{bf16} --output_dir whole"));
    let weights = WeightFolder::open(&world.path("whole/checkpoint-4")).unwrap();
    assert!(weights.names().all(|name| weights.entry(name).unwrap().dtype == ElementType::BF16));
    assert_eq!(world.json("whole/checkpoint-4/config.json")["torch_dtype"], "bfloat16");
    assert!(world.path("whole/checkpoint-4/tokenizer.model").is_file());
    let state = WeightFolder::open(&world.path("whole/checkpoint-4/training_state.safetensors")).unwrap();
    assert!(state.names().all(|name| state.entry(name).unwrap().dtype == ElementType::F32));
    let master = |name: &str| state.get(&format!("parameter.{name}")).unwrap().all_f32().unwrap();
    let between = weights.names().any(|name| master(name) != weights.get(name).unwrap().all_f32().unwrap());
    assert!(between, "no master holds more than its bfloat16");
    world.ok(&format!("{bf16} --output_dir resumed --resume_from_checkpoint whole/checkpoint-2"));
    for file in ["model.safetensors", "training_state.safetensors"] {
        let bytes = |run: &str| std::fs::read(world.path(&format!("{run}/checkpoint-4/{file}"))).unwrap();
        assert!(bytes("whole") == bytes("resumed"), "{file} of a resumed run differs");
    }
}

#[test]
fn what_a_type_rounds_away_is_not_learned() {
    let world = World::new();
    let stored = |folder: &str| {
        let weights = WeightFolder::open(&world.path(folder)).unwrap();
        weights.names().map(|name| weights.entry(name).unwrap().dtype).collect::<Vec<_>>()
    };
    assert!(stored("base").iter().all(|dtype| *dtype != ElementType::BF16), "nothing would be rounded");
    // A rate at which no bfloat16 changes.
    let bf16 = format!("{TRAIN} --method full --base_dtype bf16 --output_dir run").replace("1e-3", "1e-12");
    let said = world.ok(&bf16);
    // Of a weight that is 0 even that changes the bfloat16.
    assert!(said.contains("the weights moved by ‖Δ‖ = ") && said.contains("(0.0000 % of its norm)"), "{said}");
}
