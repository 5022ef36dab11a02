//! Runs that are killed or stopped, and go on.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use std::process::Stdio;
use std::time::{Duration, Instant};
use support::{World, files, text};

const TRAIN: &str = "train --do_train --train_file train.json --model_name_or_path base --max_steps 12 --save_steps 3 \
    --logging_steps 2 --pre_seq_len 6 --learning_rate 1e-2 --per_device_train_batch_size 3 --gradient_accumulation_steps 2 \
    --quantization_bit 4 --save_total_limit 2 --threads 1";

/// Log entries without the times of day in the last one.
fn history(world: &World, run: &str) -> Vec<serde_json::Value> {
    let mut entries = world.json(&format!("{run}/trainer_state.json"))["log_history"].as_array().unwrap().clone();
    for entry in &mut entries {
        entry.as_object_mut().unwrap().retain(|key, _| !key.ends_with("runtime") && !key.ends_with("per_second"));
    }
    entries
}

#[test]
fn killed_at_any_moment_a_resumed_run_equals_the_uninterrupted_one() {
    let world = World::new();
    let began = Instant::now();
    world.ok(&format!("{TRAIN} --output_dir whole"));
    let whole = began.elapsed();
    // Kills at moments spread over the run, some before the first checkpoint and some while one is written.
    let mut kills = 0;
    for attempt in 0u32..8 {
        let mut child = world
            .glmtune(&format!("{TRAIN} --output_dir killed --resume_from_checkpoint auto"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let share = (attempt * 37 % 100) as f64 / 100.0;
        std::thread::sleep(Duration::from_secs_f64(whole.as_secs_f64() * (0.1 + 0.6 * share)));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
    }
    assert!(kills > 0, "no run lived long enough to be killed");
    world.ok(&format!("{TRAIN} --output_dir killed --resume_from_checkpoint auto"));
    let checkpoint = |run: &str| {
        let mut files = files(&world.path(&format!("{run}/checkpoint-12")));
        files.retain(|(name, _)| name != "trainer_state.json");
        files
    };
    for ((name, expected), (_, found)) in checkpoint("whole").iter().zip(&checkpoint("killed")) {
        assert!(expected == found, "{name} differs after {kills} kills");
    }
    assert_eq!(checkpoint("whole").len(), checkpoint("killed").len());
    assert_eq!(history(&world, "whole"), history(&world, "killed"));
    let mut names: Vec<String> = std::fs::read_dir(world.path("killed"))
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.retain(|name| name.starts_with("checkpoint") || name.starts_with('.'));
    names.sort();
    assert_eq!(names, ["checkpoint-12", "checkpoint-9"], "save_total_limit 2 and no leftovers");
}

#[cfg(unix)]
#[test]
fn a_signal_saves_what_was_done() {
    let world = World::new();
    let child = world
        .glmtune(&format!("{TRAIN} --output_dir run --max_steps 100000 --save_steps 100000"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Wait for the first log entry, so that there is something to save.
    let log = world.path("run/trainer_log.jsonl");
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::fs::metadata(&log).map_or(true, |m| m.len() == 0) {
        assert!(Instant::now() < deadline, "no step within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("--resume_from_checkpoint auto"), "{text}");
    let saved = std::fs::read_dir(world.path("run")).unwrap().flatten();
    let saved: Vec<_> = saved.filter(|e| e.file_name().to_string_lossy().starts_with("checkpoint-")).collect();
    assert_eq!(saved.len(), 1);
    assert!(saved[0].path().join("pytorch_model.bin").is_file());
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let world = World::new();
    let short = TRAIN.replace("--max_steps 12", "--max_steps 3");
    world.ok(&format!("{short} --output_dir run"));
    for (changed, reason) in [
        (TRAIN.replace("train_batch_size 3", "train_batch_size 2"), "--per_device_train_batch_size was 3 and is 2"),
        (TRAIN.replace("train.json", "dev.json"), "the number of training rows was 40 and is 6"),
        (TRAIN.replace("--quantization_bit 4", "--quantization_bit 8"), "the form of the base's weights was INT4"),
        (TRAIN.replace("1e-2", "2e-2"), "--learning_rate was 0.01 and is 0.02"),
        (format!("{TRAIN} --seed 7"), "--seed was 42 and is 7"),
    ] {
        world.refused(&format!("{changed} --output_dir run --resume_from_checkpoint auto"), &[reason]);
    }
    let state = world.path("run/checkpoint-3/training_state.safetensors");
    let bytes = std::fs::read(&state).unwrap();
    std::fs::write(&state, &bytes[..bytes.len() / 2]).unwrap();
    let text = world.fails(&format!("{TRAIN} --output_dir run --resume_from_checkpoint run/checkpoint-3"));
    assert!(text.contains("training_state.safetensors") && text.contains("damaged"), "{text}");
}

#[test]
fn micro_batches_go_together_as_they_did_when_the_run_began() {
    let world = World::new();
    let run = |words: &str| world.ok(&format!("{TRAIN} {words}"));
    run("--output_dir together");
    run("--output_dir alone --max_tokens_per_pass 0");
    let losses = |name: &str| {
        let history = history(&world, name);
        history.iter().filter_map(|entry| entry["loss"].as_f64()).collect::<Vec<_>>()
    };
    // The same values are dropped, so only rounding differs.
    let (together, alone) = (losses("together"), losses("alone"));
    assert!(together.len() == 6 && alone.len() == 6, "{together:?} {alone:?}");
    for (a, b) in together.iter().zip(&alone) {
        assert!((a - b).abs() < 2e-3, "{together:?} {alone:?}");
    }
    let most = |run: &str, step| {
        world.json(&format!("{run}/checkpoint-{step}/training_state.json"))["max_tokens_per_pass"].clone()
    };
    assert_eq!((most("together", 12).as_u64(), most("alone", 12).as_u64()), (Some(512), Some(0)));
    // A run that goes on takes what its checkpoint says, unless it is told otherwise.
    let longer = |steps: &str| {
        TRAIN.replace("--max_steps 12", &format!("--max_steps {steps}"))
            + " --output_dir alone --resume_from_checkpoint auto"
    };
    world.ok(&longer("14"));
    assert_eq!(most("alone", 14).as_u64(), Some(0));
    let said = world.run(&(longer("16") + " --max_tokens_per_pass 256"));
    assert!(
        said.status.success() && text(&said).contains("micro batches together up to 256 tokens"),
        "{}",
        text(&said)
    );
    assert_eq!(most("alone", 16).as_u64(), Some(256));
}

#[test]
fn a_new_run_in_an_old_folder_neither_resumes_nor_removes_the_old_one() {
    let world = World::new();
    world.ok(&format!("{TRAIN} --output_dir run"));
    let short = TRAIN.replace("--max_steps 12", "--max_steps 3");
    let text = world.ok(&format!("{short} --output_dir run --overwrite_output_dir"));
    assert!(text.contains("replaced-1"), "{text}");
    assert!(world.path("run/replaced-1/checkpoint-12/pytorch_model.bin").is_file());
    // Of a run that is complete nothing is done or written again.
    let results = || {
        ["train_results.json", "all_results.json", "trainer_state.json", "trainer_log.jsonl", "training_loss.svg"]
            .map(|name| std::fs::read(world.path(&format!("run/{name}"))).unwrap())
    };
    let before = results();
    let text = world.ok(&format!("{short} --output_dir run --resume_from_checkpoint auto"));
    assert!(text.contains("the run was already complete: run/checkpoint-3 is its last step"), "{text}");
    assert!(!text.contains("trained 3 steps"), "{text}");
    assert!(results() == before, "the results of a complete run were written again");
    // One that ended before its results were written gets them.
    std::fs::remove_file(world.path("run/train_results.json")).unwrap();
    world.ok(&format!("{short} --output_dir run --resume_from_checkpoint auto"));
    assert!(world.path("run/train_results.json").is_file());
    // Past the end of the run that is asked for.
    let one = TRAIN.replace("--max_steps 12", "--max_steps 1");
    world.refused(&format!("{one} --output_dir run --resume_from_checkpoint auto"), &["raise --max_steps"]);
}

#[test]
fn a_checkpoint_of_another_method_is_told_by_both_methods() {
    let world = World::new();
    let train = "train --do_train --train_file train.json --model_name_or_path base --max_steps 2 --max_source_length 32 \
        --max_target_length 16 --threads 1";
    let prefix = ("--pre_seq_len 6", "P-Tuning v2 (--pre_seq_len 6, --prefix_projection false)");
    let lora = ("--lora_rank 4 --lora_target dense", "LoRA (--lora_rank 4, --lora_target dense)");
    let full = ("--method full", "the base's own weights (the weights that train all)");
    for (name, (flags, _)) in [("prefix", prefix), ("lora", lora)] {
        world.ok(&format!("{train} {flags} --output_dir {name}"));
    }
    for (name, held, asked) in [("prefix", prefix, lora), ("lora", lora, prefix), ("lora", lora, full)] {
        let from = format!("--output_dir other --resume_from_checkpoint {name}/checkpoint-2");
        let parts = [format!("it holds a run of {}", held.1), format!("the flags ask for {}", asked.1)];
        let parts: Vec<&str> = parts
            .iter()
            .map(String::as_str)
            .chain(["give the flags that it began with", "another --output_dir"])
            .collect();
        world.refused(&format!("{train} {} {from}", asked.0), &parts);
    }
    // What is found by itself is refused alike, and left where it is.
    world.ok(&format!("{train} {} --output_dir full", full.0));
    for (name, held, asked) in [
        ("lora", lora, prefix),
        ("lora", lora, full),
        ("full", full, lora),
        ("prefix", prefix, lora),
        ("full", full, prefix),
    ] {
        let words = format!("{train} {} --output_dir {name} --resume_from_checkpoint auto", asked.0);
        let parts = [format!("it holds a run of {}", held.1), format!("the flags ask for {}", asked.1)];
        world.refused(&words, &[&format!("{name}/checkpoint-2: "), &parts[0], &parts[1]]);
        assert!(world.path(&format!("{name}/checkpoint-2/training_state.json")).is_file());
        assert!(!world.path(&format!("{name}/replaced-1")).exists());
    }
    // Nobody can go on from a damaged one.
    let state = world.path("lora/checkpoint-2/training_state.safetensors");
    let bytes = std::fs::read(&state).unwrap();
    std::fs::write(&state, &bytes[..bytes.len() / 2]).unwrap();
    let said = world.ok(&format!("{train} {} --output_dir lora --resume_from_checkpoint auto", prefix.0));
    assert!(said.contains("were moved to lora/replaced-1"), "{said}");
}
