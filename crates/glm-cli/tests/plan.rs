//! `glmtune plan`: what a run will take, before it is started.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use serde_json::Value;
use support::World;

const RUN: &str = "plan --train_file train.json --model_name_or_path base --max_steps 6 --gradient_accumulation_steps 2 \
    --max_source_length 64 --max_target_length 32 --per_device_train_batch_size 2 --threads 1";

fn plan(world: &World, flags: &str) -> Value {
    let output = world.run(&format!("{RUN} {flags} --json"));
    assert!(output.status.success(), "{flags}: {}", support::text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_method_is_told_its_time() {
    let world = World::new();
    let layers = world.json("base/config.json")["num_layers"].as_u64().unwrap();
    for method in
        ["--pre_seq_len 8", "--method lora", "--method full", "--method freeze --num_layer_trainable 1", &all(layers)]
    {
        let plan = plan(&world, method);
        assert_eq!((plan["total_steps"].as_u64(), plan["micro_batches"].as_u64()), (Some(6), Some(12)), "{method}");
        let time = |part: &str| plan["time"][part].as_f64().unwrap();
        assert!(time("micro_batch") > 0.0 && time("update") > 0.0, "{method}: {plan}");
        let run = 12.0 * time("micro_batch") + 6.0 * time("update");
        assert!((time("run") - run).abs() < 1e-9 * run, "{method}: {plan}");
    }
    let without = plan(&world, "--method freeze --num_layer_trainable 1 --no_measure");
    assert!(without["time"].is_null());
}

fn all(layers: u64) -> String {
    format!("--method freeze --num_layer_trainable {layers}")
}

#[test]
fn the_tokens_of_an_epoch_are_those_that_training_counts() {
    let world = World::new();
    let plan = plan(&world, "--pre_seq_len 8 --no_measure");
    let train = RUN.replace("plan --", "train --do_train --output_dir run --");
    let said = world.ok(&format!("{train} --pre_seq_len 8"));
    let scored = format!("{} scored", plan["lengths"]["supervised"]);
    assert!(said.contains(&scored), "{said}\nlacks {scored}");
}
