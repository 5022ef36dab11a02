//! The parts of training that need no model: optimizer, schedules, clipping, files and journal.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod atomic;
mod clip;
mod curve;
mod journal;
mod optim;
mod python_json;
mod run_dir;
mod schedule;
mod tensorboard;

use serde_json::Value;

/// A golden of `tests/data`, made by the script beside it.
fn golden(name: &str) -> Value {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// A list of 32-bit patterns in hex.
fn f32s(value: &Value) -> Vec<f32> {
    let one = |v: &Value| f32::from_bits(u32::from_str_radix(v.as_str().expect("hex"), 16).expect("hex"));
    value.as_array().expect("a list").iter().map(one).collect()
}
