//! A tiny base and a small data set on disk, and the real binary on them.
#![allow(dead_code)] // Each test file uses its own part.

use glm_demo::corpus::{Split, adgen_rows};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder with `base/`, `train.json` and `dev.json`.
pub struct World {
    pub folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(world.path("base")).unwrap();
        for (name, bytes) in glm_demo::ASSETS {
            std::fs::write(world.path("base").join(name), bytes).unwrap();
        }
        for (name, split, rows) in [("train.json", Split::Train, 40), ("dev.json", Split::Dev, 6)] {
            let lines: Vec<String> =
                adgen_rows(split, rows, 7).iter().map(|row| serde_json::to_string(row).unwrap()).collect();
            std::fs::write(world.path(name), lines.join("\n")).unwrap();
        }
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The binary, run in the folder, one thread.
    pub fn glmtune(&self, words: &str) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("glmtune"));
        command.current_dir(self.folder.path()).args(words.split_whitespace()).env("RAYON_NUM_THREADS", "1");
        command
    }

    pub fn run(&self, words: &str) -> Output {
        self.glmtune(words).output().unwrap()
    }

    /// Runs and expects success; returns standard output and error together.
    pub fn ok(&self, words: &str) -> String {
        let output = self.run(words);
        let text = text(&output);
        assert!(output.status.success(), "{words}\n{text}");
        text
    }

    /// Runs and expects exit code 1 (or 2 for usage); returns standard error.
    pub fn fails(&self, words: &str) -> String {
        let output = self.run(words);
        let text = text(&output);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{words}\n{:?}\n{text}", output.status);
        assert!(!text.contains("panicked"), "{text}");
        text
    }

    /// Runs and expects exit code 2, one message that holds all the parts, and no output folder `no`.
    pub fn refused(&self, words: &str, parts: &[&str]) {
        let output = self.run(words);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(2), "{words}\n{text}");
        assert_eq!(text.matches("error: ").count(), 1, "{words}\n{text}");
        for part in parts {
            assert!(text.contains(part), "{words}\n{text}\nlacks {part}");
        }
    }

    pub fn json(&self, name: &str) -> serde_json::Value {
        let path = self.path(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_str(&text).unwrap()
    }
}

pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Files of a folder with their contents.
pub fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}
