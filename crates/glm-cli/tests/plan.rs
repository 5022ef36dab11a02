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

/// What the run would take otherwise is the same however it was asked for.
#[test]
fn other_ways_of_keeping_activations_do_not_depend_on_the_one_asked_for() {
    let world = World::new();
    let otherwise = |policy: &str| {
        let flags = format!("--pre_seq_len 8 --no_measure --gradient_checkpointing {policy}");
        plan(&world, &flags)["alternatives"].clone()
    };
    let always = otherwise("always");
    assert!(always.as_array().unwrap().len() >= 2, "{always}");
    assert_eq!(always, otherwise("never"));
    assert_eq!(always, otherwise("auto"));
}

/// What a verb prints is its result: nobody reading any more is no error, a full disk is one.
#[test]
fn results_that_cannot_be_printed_are_errors_and_closed_pipes_are_not() {
    let world = World::new();
    let score = "score predictions.jsonl";
    std::fs::write(world.path("predictions.jsonl"), "{\"labels\": \"a b\", \"predict\": \"a b\"}\n").unwrap();
    let plans = [format!("{RUN} --pre_seq_len 8 --no_measure"), format!("{RUN} --pre_seq_len 8 --no_measure --json")];
    let [plan, json] = &plans;
    let check = "data check train.json";
    for words in [plan.as_str(), json, score, check] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = world.glmtune(words).stdout(writer).status().unwrap();
        assert_eq!(status.code(), Some(0), "{words}");
        // A device that is always full.
        if let Ok(full) = std::fs::File::options().write(true).open("/dev/full") {
            let output = world.glmtune(words).stdout(full).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{words}: {}", support::text(&output));
        }
    }
}
