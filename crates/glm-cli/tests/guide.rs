//! Runs every command of `docs/guide/*.md`: each page in a folder of its own, on tiny bases that stand where the pages
//! name the published ones, with fewer steps and rows.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use support::World;

/// Appended to every run so that it is short; the last of two equal flags wins.
const SHORT: &str = "--max_steps 2 --gradient_accumulation_steps 1 --max_train_samples 8 --max_predict_samples 2 \
                     --max_eval_samples 2 --max_new_tokens 4 --pre_seq_len 4";

fn guide() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide")
}

/// The shell blocks of a page.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in page.lines() {
        match (&mut block, line) {
            (None, "```sh") => block = Some(String::new()),
            (Some(_), "```") => blocks.extend(block.take()),
            (Some(text), line) => *text += &format!("{line}\n"),
            (None, _) => {}
        }
    }
    blocks
}
