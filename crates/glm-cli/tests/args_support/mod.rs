//! Runs the built `glmtune` for the tests of its flags.
// Every test file compiles its own copy of this module and uses its own part of it.
#![allow(dead_code)]

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;

/// Runs `glmtune` with space-separated words, in a folder.
pub fn glmtune(folder: &Path, words: &str) -> Output {
    let mut command = Command::cargo_bin("glmtune").expect("cargo builds the binary for its own tests");
    command.current_dir(folder).args(words.split_whitespace()).output().expect("the binary starts")
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The settings that `--dry_run` prints, and standard error.
pub fn dry_run(verb: &str, words: &str) -> (serde_json::Value, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    dry_run_in(folder.path(), verb, words)
}

/// [`dry_run`] in a folder of one's own.
pub fn dry_run_in(folder: &Path, verb: &str, words: &str) -> (serde_json::Value, String) {
    let output = glmtune(folder, &format!("{verb} {words} --dry_run"));
    let message = stderr(&output);
    assert!(output.status.success(), "{verb} {words}: {message}");
    (serde_json::from_slice(&output.stdout).expect("--dry_run prints json"), message)
}

/// Asserts that the words are refused with exit code 2 and one clean message that holds all the parts.
pub fn refused(words: &str, parts: &[&str]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    refused_in(folder.path(), words, parts);
}

/// [`refused`] in a folder of one's own.
pub fn refused_in(folder: &Path, words: &str, parts: &[&str]) {
    let output = glmtune(folder, words);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{words}: {message}");
    assert_eq!(message.matches("error: ").count(), 1, "{words}: {message}");
    assert!(!message.contains("panicked") && !message.contains("backtrace"), "{words}: {message}");
    for part in parts {
        assert!(message.contains(part), "{words}: expected {part:?} in {message}");
    }
}

/// How many remarks name a flag.
pub fn note_lines(stderr: &str, flag: &str) -> usize {
    stderr.lines().filter(|line| line.starts_with("note: ") && line.contains(flag)).count()
}
