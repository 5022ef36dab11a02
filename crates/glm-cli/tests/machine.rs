//! `glmtune doctor` and `glmtune bench`: what the machine has, and where the time goes.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use serde_json::Value;
use support::World;

/// Short prompts and rows, so that nothing takes long.
const SHORT: &str = "--prompt_tokens 6 --answer_tokens 6 --context 8 --pre_seq_len 4 --lora_rank 2 --threads 1";

fn json(world: &World, words: &str) -> Value {
    let output = world.run(words);
    assert!(output.status.success(), "{words}: {}", support::text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn positive(value: &Value, path: &str) -> f64 {
    let found = value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} is missing: {value:#}"));
    assert!(found.is_finite() && found > 0.0, "{path} is {found}");
    found
}

#[test]
fn doctor_says_what_there_is() {
    let world = World::new();
    let found = json(&world, "doctor --json --threads 1");
    for path in ["/processor/hardware_threads", "/processor/usable", "/kernels/threads"] {
        positive(&found, path);
    }
    for path in ["/measured/read_bytes_per_second", "/measured/f32_flops", "/chatglm2_6b_int4/most_tokens_per_second"] {
        positive(&found, path);
    }
    assert!(found["processor"]["features"].is_object() && found["memory"].is_object(), "{found:#}");
    assert!(["scalar", "neon", "avx2", "avx512"].map(Value::from).contains(&found["kernels"]["isa"]), "{found:#}");
    assert!(["f32", "bf16"].map(Value::from).contains(&found["kernels"]["compute"]), "{found:#}");
    assert_eq!(found["gpu"]["used"], false);
    assert!(found["advice"].is_array());
    let kept = &found["quantized_cache"];
    assert!(kept.is_null() || kept["files"].is_u64() && kept["bytes"].is_u64(), "{kept}");
    // The instructions for bfloat16 are measured where the processor says that it has them.
    let has = found["processor"]["features"]["AVX512_BF16"] == true;
    assert_eq!(found["measured"]["bf16_flops"].is_number(), has, "{found:#}");
    let has = found["processor"]["features"]["AVX512_VNNI"] == true;
    assert_eq!(found["measured"]["int8_ops"].is_number(), has, "{found:#}");
}

#[test]
fn doctor_advises_against_a_lowered_instruction_set() {
    let world = World::new();
    let output = world.glmtune("doctor").env("GLM_ISA", "scalar").output().unwrap();
    let text = support::text(&output);
    assert!(output.status.success() && text.contains("What would make it faster"), "{text}");
    let lowered = text.contains("GLM_ISA=scalar lowers the kernels");
    assert_eq!(lowered, !text.contains("plain code"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn bench_measures_every_part_of_a_base() {
    let world = World::new();
    let layers = world.json("base/config.json")["num_layers"].as_u64();
    for form in ["--quantization_bit 4", "--base_dtype f32 --compute f32"] {
        let found = json(&world, &format!("bench --model_name_or_path base {form} {SHORT} --json"));
        assert_eq!(found["kernels"]["forms"].as_array().unwrap().len(), 1, "one form was asked for");
        assert_eq!(found["kernels"]["forms"][0]["matrices"].as_array().unwrap().len(), 4);
        for of in ["forward", "input_gradient", "one_token"] {
            positive(&found, &format!("/kernels/forms/0/block/{of}/per_second"));
            positive(&found, &format!("/kernels/forms/0/block/{of}/share"));
        }
        assert_eq!(found["loading"]["layers"].as_u64(), layers);
        let (read, all) = (positive(&found, "/loading/file_bytes"), positive(&found, "/loading/all_file_bytes"));
        assert!(read < all, "two blocks of {layers:?} are read");
        positive(&found, "/loading/bytes_per_second");
        assert_eq!(found["training"]["targets"], 6);
        for method in 0..2 {
            let of = |name: &str| positive(&found, &format!("/training/methods/{method}/{name}"));
            let whole = of("micro_batch_seconds");
            assert!((of("tokens_per_second") * whole - 12.0).abs() < 1e-6);
            assert!(of("trainable") > 0.0 && of("update_seconds") > 0.0 && of("micro_batch/share") > 0.0);
        }
        positive(&found, "/decoding/prompt_tokens_per_second");
        for (answers, batch) in [(0, 1.0), (1, 8.0)] {
            let of = |name: &str| positive(&found, &format!("/decoding/answers/{answers}/{name}"));
            assert!((of("tokens_per_second") * of("step_seconds") - batch).abs() < 1e-6);
            assert!(of("weights/per_second") > 0.0);
        }
    }
}

#[test]
fn bench_without_a_base_takes_the_demos() {
    let world = World::new();
    let words = format!("bench --parts loading,training,decoding --blocks 99 {SHORT}");
    let before = leftovers(&world);
    let said = world.glmtune(&words).env("TMPDIR", world.folder.path()).output().unwrap();
    let text = support::text(&said);
    assert!(said.status.success(), "{text}");
    for part in ["Loading the demo's base as INT4", "P-Tuning v2, 4 positions", "LoRA, rank 2", "an optimizer step"] {
        assert!(text.contains(part), "{text}\nlacks {part}");
    }
    assert!(text.contains("a token of each of 8 answers") && !text.contains("one token"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!(leftovers(&world), before, "the demo's base is removed");
}

fn leftovers(world: &World) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(world.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn mistakes_are_named() {
    let world = World::new();
    world.refused("doctor --threads 0", &["--threads: expected 1 or more, found 0"]);
    world.refused("bench --parts kernels,speed", &["--parts: expected some of kernels", "kernels,speed"]);
    world.refused("bench --blocks 0", &["--blocks: expected 1 or more, found 0"]);
    world.refused("bench --answer_tokens 8193", &["--answer_tokens: expected at most 8192"]);
    world.refused("bench --ptuning_checkpoint base", &["--ptuning_checkpoint does not go with bench"]);
    world.refused("bench --quantization_group 32", &["--quantization_group needs --quantization_bit 4"]);
    world.refused("bench --nonsense", &["--nonsense"]);
    let lora = "bench --model_name_or_path base --parts training --lora_rank 5000 --threads 1";
    world.refused(lora, &["--lora_rank: expected 1 to", "found 5000"]);
    let missing = world.fails("bench --model_name_or_path nowhere/there --parts loading --offline");
    assert!(missing.contains("--model_name_or_path"), "{missing}");
}
