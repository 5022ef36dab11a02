//! The quantized form of a base that one start keeps and the next maps.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use support::{World, files, text};

const TRAIN: &str = "train --do_train --train_file train.json --model_name_or_path base --max_steps 3 --save_steps 3 \
    --logging_steps 1 --pre_seq_len 6 --learning_rate 1e-2 --per_device_train_batch_size 3 --overwrite_output_dir --threads 1";
const USED: &str = "using the quantized form from";
const WRITTEN: &str = "writing the quantized form to";

/// Trains and returns what was said with the checkpoint that came of it.
fn train(world: &World, flags: &str) -> (String, Vec<(String, Vec<u8>)>) {
    let said = world.ok(&format!("{TRAIN} {flags} --output_dir run"));
    let mut checkpoint = files(&world.path("run/checkpoint-3"));
    // Times of day stand in it.
    checkpoint.retain(|(name, _)| name != "trainer_state.json");
    assert!(!checkpoint.is_empty());
    let losses = world.json("run/trainer_state.json")["log_history"].as_array().unwrap().clone();
    let losses: Vec<_> = losses.iter().filter_map(|entry| entry.get("loss").map(ToString::to_string)).collect();
    assert_eq!(losses.len(), 3);
    checkpoint.push(("losses".into(), losses.join(" ").into()));
    (said, checkpoint)
}

#[track_caller]
fn says(said: &str, parts: &[&str], not: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{said}\nlacks {part}");
    }
    for part in not {
        assert!(!said.contains(part), "{said}\nhas {part}");
    }
}

/// The one file of a cache.
fn only_file(world: &World, folder: &str) -> PathBuf {
    let mut paths: Vec<_> = std::fs::read_dir(world.path(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(paths.len(), 1, "{paths:?}");
    paths.remove(0)
}

#[test]
fn a_run_is_the_same_bit_for_bit_with_and_without_it() {
    for (form, name) in [
        ("--quantization_bit 4", "base-int4-"),
        ("--quantization_bit 8", "base-int8-"),
        ("--quantization_bit 4 --quantization_group 32", "base-int4-group32-"),
    ] {
        let world = World::new();
        let (said, without) = train(&world, &format!("{form} --quantized_cache off"));
        says(&said, &[], &[USED, WRITTEN]);
        let (said, first) = train(&world, &format!("{form} --quantized_cache cache"));
        says(&said, &[WRITTEN, "the next start takes seconds", name], &[USED, "warning"]);
        let (said, second) = train(&world, &format!("{form} --quantized_cache cache"));
        says(&said, &[USED, name], &[WRITTEN, "is not used"]);
        assert!(without == first && without == second, "{form}: the runs differ");
        let file = only_file(&world, "cache");
        assert!(file.file_name().unwrap().to_str().unwrap().starts_with(name), "{}", file.display());
    }
}

#[test]
fn a_small_base_and_one_in_floats_leave_nothing_behind() {
    let world = World::new();
    for flags in ["--quantization_bit 4", "--quantization_bit 4 --quantized_cache auto", "--quantized_cache cache"] {
        let words = format!("{TRAIN} {flags} --output_dir run");
        let output = world.glmtune(&words).env("XDG_CACHE_HOME", world.path("caches")).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        says(&text(&output), &[], &[USED, WRITTEN]);
    }
    assert!(!world.path("caches").exists() && !world.path("cache").exists());
}

#[test]
fn a_changed_base_or_a_damaged_file_is_said_and_mended() {
    const FLAGS: &str = "--quantization_bit 4 --quantized_cache cache";
    let world = World::new();
    let (_, expected) = train(&world, FLAGS);
    let file = only_file(&world, "cache");
    let whole = std::fs::read(&file).unwrap();
    let weights = world.path("base").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let weights = weights.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let last = whole.len() - 1;
    let flipped = [&whole[..last], &[whole[last] ^ 1]].concat();
    let harm: [(&str, &dyn Fn()); 4] = [
        ("it is damaged", &|| std::fs::write(&file, &flipped).unwrap()),
        ("is not used", &|| std::fs::write(&file, &whole[..whole.len() / 2]).unwrap()),
        ("is not used", &|| std::fs::write(&file, "").unwrap()),
        ("the files of the base have changed", &|| {
            let opened = std::fs::File::options().write(true).open(&weights).unwrap();
            let time = opened.metadata().unwrap().modified().unwrap();
            opened.set_modified(time + Duration::from_secs(7)).unwrap();
        }),
    ];
    for (reason, harm) in harm {
        harm();
        // What a process left that was killed while it wrote.
        let name = file.file_name().unwrap().to_str().unwrap();
        std::fs::write(world.path("cache").join(format!(".{name}.tmp-999999-0")), "half").unwrap();
        let (said, found) = train(&world, FLAGS);
        says(&said, &["note: ", reason, "the base is quantized again", WRITTEN], &[USED, "warning"]);
        assert!(found == expected, "{reason}: the run differs");
        assert_eq!(only_file(&world, "cache"), file);
        let (said, found) = train(&world, FLAGS);
        says(&said, &[USED], &["is not used", WRITTEN]);
        assert!(found == expected, "{reason}: the run differs when the file is used");
    }
}

#[test]
fn where_nothing_can_be_written_the_run_goes_on() {
    let world = World::new();
    let (_, expected) = train(&world, "--quantization_bit 4 --quantized_cache off");
    std::fs::write(world.path("taken"), "a file").unwrap();
    for folder in ["taken", "taken/below"] {
        let (said, found) = train(&world, &format!("--quantization_bit 4 --quantized_cache {folder}"));
        says(&said, &["warning: ", "taken", "the next start quantizes again"], &[USED]);
        assert!(found == expected);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let folder = world.path("closed");
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o555)).unwrap();
        // Nothing is closed to the system's administrator.
        let closed = std::fs::File::create(folder.join("probe")).is_err();
        let (said, found) = train(&world, "--quantization_bit 4 --quantized_cache closed");
        says(&said, if closed { &["warning: ", "closed"] } else { &[WRITTEN] }, &[USED]);
        assert!(found == expected);
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    }
}

#[test]
fn two_processes_at_once_do_not_disturb_each_other() {
    let world = World::new();
    let start = |run: &str| {
        let words = format!("{TRAIN} --quantization_bit 4 --quantized_cache cache --output_dir {run}");
        world.glmtune(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children = ["a", "b", "c"].map(start);
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        says(&text(&output), &[], &["warning"]);
    }
    only_file(&world, "cache");
    let (said, _) = train(&world, "--quantization_bit 4 --quantized_cache cache");
    says(&said, &[USED], &[WRITTEN]);
    assert_eq!(files(&world.path("a/checkpoint-3"))[0], files(&world.path("b/checkpoint-3"))[0]);
}

#[test]
fn plan_knows_where_it_is() {
    let world = World::new();
    let plan = |flags: &str| {
        let words = format!(
            "plan --train_file train.json --model_name_or_path base --max_steps 3 --pre_seq_len 6 --no_measure {flags}"
        );
        let json: serde_json::Value =
            serde_json::from_slice(&world.glmtune(&format!("{words} --json")).output().unwrap().stdout).unwrap();
        (json["quantized_form"].clone(), world.ok(&words))
    };
    let flags = "--quantization_bit 4 --quantized_cache cache";
    let (before, said) = plan(flags);
    assert_eq!(before["there"], false);
    says(&said, &["quantized", "to be written"], &[]);
    train(&world, flags);
    let (after, said) = plan(flags);
    assert_eq!((after["there"].as_bool(), &after["bytes"]), (Some(true), &before["bytes"]));
    says(&said, &["quantized"], &["to be written"]);
    let file = only_file(&world, "cache");
    assert!(after["path"].as_str().unwrap().ends_with(file.file_name().unwrap().to_str().unwrap()));
    assert!(file.metadata().unwrap().len() >= after["bytes"].as_u64().unwrap());
    assert!(plan("--quantization_bit 4").0.is_null() && plan("").0.is_null());
}
