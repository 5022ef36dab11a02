//! The official scripts' flags on real files, and what comes out.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use support::{World, files};

const TRAIN: &str = "train --do_train --train_file train.json --validation_file dev.json --preprocessing_num_workers 10 \
    --prompt_column content --response_column summary --overwrite_cache --model_name_or_path base \
    --output_dir output/adgen-chatglm2-6b-pt-128-2e-2 --overwrite_output_dir --max_source_length 64 \
    --max_target_length 128 --per_device_train_batch_size 1 --per_device_eval_batch_size 1 \
    --gradient_accumulation_steps 16 --predict_with_generate --max_steps 3 --logging_steps 1 --save_steps 2 \
    --learning_rate 2e-2 --pre_seq_len 128 --quantization_bit 4";
const EVALUATE: &str = "train --do_predict --validation_file dev.json --test_file dev.json --overwrite_cache \
    --prompt_column content --response_column summary --model_name_or_path base \
    --ptuning_checkpoint ./output/adgen-chatglm2-6b-pt-128-2e-2/checkpoint-3 \
    --output_dir ./output/adgen-chatglm2-6b-pt-128-2e-2 --overwrite_output_dir --max_source_length 64 \
    --max_target_length 64 --per_device_eval_batch_size 1 --predict_with_generate --pre_seq_len 128 \
    --quantization_bit 4";
const OUTPUT: &str = "output/adgen-chatglm2-6b-pt-128-2e-2";

fn keys(value: &serde_json::Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn train_sh_then_evaluate_sh() {
    let world = World::new();
    let text = world.ok(TRAIN);
    assert!(text.contains("‖Δ‖"), "{text}");

    let checkpoint = format!("{OUTPUT}/checkpoint-3");
    for file in [
        "checkpoint-2",
        "checkpoint-3",
        "trainer_state.json",
        "train_results.json",
        "all_results.json",
        "run_config.json",
        "training_loss.svg",
        "trainer_log.jsonl",
        "runs",
    ] {
        assert!(world.path(&format!("{OUTPUT}/{file}")).exists(), "{file} is missing");
    }
    let names: Vec<String> = files(&world.path(&checkpoint)).into_iter().map(|(name, _)| name).collect();
    for file in ["pytorch_model.bin", "adapter.safetensors", "config.json", "tokenizer.model", "trainer_state.json"] {
        assert!(names.iter().any(|name| name == file), "{file} is not among {names:?}");
    }
    let config = world.json(&format!("{checkpoint}/config.json"));
    assert_eq!(
        (&config["pre_seq_len"], &config["prefix_projection"], &config["quantization_bit"]),
        (&128.into(), &false.into(), &4.into())
    );
    let train = world.json(&format!("{OUTPUT}/train_results.json"));
    assert_eq!(
        keys(&train),
        ["epoch", "train_loss", "train_runtime", "train_samples", "train_samples_per_second", "train_steps_per_second"]
    );
    let state = world.json(&format!("{OUTPUT}/trainer_state.json"));
    assert_eq!(state["global_step"], 3);
    let history = state["log_history"].as_array().unwrap();
    assert_eq!(history.len(), 4);
    assert!(history[0]["loss"].as_f64().unwrap() > 0.0);
    // The logged rate is the next step's.
    assert!((history[0]["learning_rate"].as_f64().unwrap() - 2e-2 * 2.0 / 3.0).abs() < 1e-12);

    world.ok(EVALUATE);
    let predict = world.json(&format!("{OUTPUT}/predict_results.json"));
    assert_eq!(
        keys(&predict),
        [
            "predict_bleu-4",
            "predict_rouge-1",
            "predict_rouge-2",
            "predict_rouge-l",
            "predict_runtime",
            "predict_samples",
            "predict_samples_per_second",
            "predict_steps_per_second"
        ]
    );
    let all = world.json(&format!("{OUTPUT}/all_results.json"));
    assert!(all["train_loss"].is_number() && all["predict_rouge-l"].is_number());
    let predictions = std::fs::read_to_string(world.path(&format!("{OUTPUT}/generated_predictions.txt"))).unwrap();
    assert_eq!(predictions.lines().count(), 6);
    assert!(predictions.starts_with("{\"labels\": \""), "{predictions}");
    let scores = world.ok(&format!("score {OUTPUT}/generated_predictions.txt"));
    assert!(scores.to_lowercase().contains("rouge"), "{scores}");

    // The same prefix without its twin, as the official script leaves it, predicts the same.
    std::fs::remove_file(world.path(&format!("{checkpoint}/adapter.safetensors"))).unwrap();
    world.ok(EVALUATE);
    let again = std::fs::read_to_string(world.path(&format!("{OUTPUT}/generated_predictions.txt"))).unwrap();
    assert_eq!(predictions, again);
}

#[test]
fn evaluation_loss_during_and_after_training() {
    let world = World::new();
    let text = world.ok(
        "train --do_train --do_eval --train_file train.json --validation_file dev.json --model_name_or_path base \
         --output_dir run --max_steps 4 --evaluation_strategy steps --eval_steps 2 --logging_steps 2 --pre_seq_len 8 \
         --prefix_projection --per_device_train_batch_size 4 --learning_rate 1e-2 --save_strategy no \
         --lr_scheduler_type cosine --warmup_ratio 0.25 --optim adamw_torch --weight_decay 0.01",
    );
    assert!(text.contains("perplexity"), "{text}");
    let results = world.json("run/eval_results.json");
    assert!(results["eval_loss"].as_f64().unwrap() > 0.0);
    let state = world.json("run/trainer_state.json");
    let evaluations = state["log_history"].as_array().unwrap().iter().filter(|entry| !entry["eval_loss"].is_null());
    assert_eq!(evaluations.count(), 2);
    // A final save is made although none was asked for.
    assert!(world.path("run/checkpoint-4/pytorch_model.bin").is_file());
}

#[test]
fn args_json_and_toml_train_too() {
    let world = World::new();
    let settings = "do_train = true\ntrain_file = \"train.json\"\nmodel_name_or_path = \"base\"\noutput_dir = \"toml\"\n\
        max_steps = 2\npre_seq_len = 4\nlearning_rate = 0.01\nquantization_bit = 8\n";
    std::fs::write(world.path("run.toml"), settings).unwrap();
    world.ok("train run.toml");
    let settings = r#"{"do_train": true, "train_file": "train.json", "model_name_or_path": "base", "output_dir": "json",
        "max_steps": 2, "pre_seq_len": 4, "learning_rate": 0.01, "quantization_bit": 8}"#;
    std::fs::write(world.path("args.json"), settings).unwrap();
    world.ok("train args.json");
    let checkpoint = |run: &str| std::fs::read(world.path(&format!("{run}/checkpoint-2/pytorch_model.bin"))).unwrap();
    assert_eq!(checkpoint("toml"), checkpoint("json"));
}

#[test]
fn what_is_wrong_is_named() {
    let world = World::new();
    world.ok("train --do_train --train_file train.json --model_name_or_path base --output_dir run --max_steps 1 --pre_seq_len 4");
    let train = "train --do_train --model_name_or_path base --output_dir other --max_steps 1 --pre_seq_len 4";
    let cases = [
        (format!("{train} --train_file none.json"), "none.json"),
        (format!("{train} --train_file train.json --prompt_column contents"), "content"),
        (format!("{train} --train_file train.json --learning_rat 1"), "learning_rate"),
        (format!("{train} --train_file train.json --ptuning_checkpoint run"), "for example run/checkpoint-1"),
        ("train --do_predict --test_file dev.json --model_name_or_path base --output_dir other --ptuning_checkpoint run/checkpoint-1 --pre_seq_len 128".into(), "pre_seq_len 4"),
        ("train --do_predict --test_file dev.json --model_name_or_path run/checkpoint-1 --output_dir other".into(), "holds only a P-Tuning prefix"),
        ("train --do_train --train_file train.json --model_name_or_path base --output_dir run --max_steps 1 --pre_seq_len 4".into(), "--resume_from_checkpoint auto"),
    ];
    for (words, expected) in cases {
        let text = world.fails(&words);
        assert!(text.contains(expected), "{words}\n{text}\nlacks {expected}");
    }
    let mut rows = std::fs::read_to_string(world.path("train.json")).unwrap();
    rows.push_str("\n{\"content\": \"x\", \"summary\": \n");
    std::fs::write(world.path("broken.json"), rows).unwrap();
    let text = world.fails(&format!("{train} --train_file broken.json"));
    assert!(text.contains("broken.json") && text.contains("41"), "{text}");
    assert!(!world.path("other").exists(), "a refused run leaves nothing behind");
}

#[test]
fn a_number_that_is_not_finite_stops_the_run() {
    let world = World::new();
    let text = world.fails(
        "train --do_train --train_file train.json --model_name_or_path base --output_dir run --max_steps 5 --pre_seq_len 4 \
         --learning_rate 1e38 --max_grad_norm 0 --logging_steps 1 --per_device_train_batch_size 2",
    );
    assert!(text.contains("step 2") && text.contains("Rows of this step"), "{text}");
    assert!(!text.contains("loss 0.0"), "{text}");
}
