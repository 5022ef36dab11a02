//! Exports that are stopped or killed leave nothing behind.
#![cfg(unix)]
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::World;

/// A base whose export takes a while, and its names in the folder.
fn world() -> World {
    let world = World::new();
    world.ok(
        "dev random-base --layers 1 --hidden_size 512 --ffn_hidden_size 512 --num_attention_heads 4 --kv_channels 128 \
        --padded_vocab_size 65024 --out large",
    );
    std::fs::copy(world.path("base/tokenizer.model"), world.path("large/tokenizer.model")).unwrap();
    world
}

fn unfinished(world: &World) -> Vec<String> {
    let names = std::fs::read_dir(world.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.starts_with(".out")).collect()
}

/// Begins an export and returns when its temporary file or folder is there.
fn begun(world: &World, to: &str, stderr: impl Into<Stdio>) -> Child {
    let words = format!("export --model_name_or_path large --to {to} --out out");
    let mut child = world.glmtune(&words).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
    let began = Instant::now();
    while unfinished(world).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(), "it wrote nothing");
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_signal_stops_it_when_nobody_reads_its_messages_any_more() {
    let world = world();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut child = begun(&world, "merged --dtype f32", writer);
    drop(reader);
    // Otherwise it could end before the signal comes.
    send(&child, "STOP");
    send(&child, "TERM");
    send(&child, "CONT");
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it goes on");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(status.code(), Some(130));
    assert_eq!(unfinished(&world), [""; 0]);
    assert!(!world.path("out").exists());
}

#[test]
fn a_stopped_export_removes_what_it_has_begun() {
    let world = world();
    for (signal, to) in [("TERM", "merged --dtype f32"), ("INT", "gguf --gguf_type q8_0"), ("TERM", "int4")] {
        let child = begun(&world, to, Stdio::piped());
        send(&child, signal);
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{signal} {to}: {error}");
        assert!(error.contains("nothing is left"), "{error}");
        assert_eq!(unfinished(&world), [""; 0], "{signal} {to}");
        assert!(!world.path("out").exists());
    }
}

#[test]
fn the_next_export_removes_what_a_killed_one_left() {
    let world = world();
    for to in ["merged --dtype f32", "int4"] {
        let mut child = begun(&world, to, Stdio::piped());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(unfinished(&world).len(), 1, "the second has cleared what the first left");
    // Somebody else's.
    std::fs::create_dir(world.path(".other.tmp-1-0")).unwrap();
    world.ok("export --model_name_or_path base --to int4 --out out");
    assert_eq!(unfinished(&world), [""; 0]);
    assert!(world.path("out/pytorch_model.bin").is_file() && world.path(".other.tmp-1-0").is_dir());
}
