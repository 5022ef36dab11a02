//! A world whose base is on a stand-in hub, and an empty cache.
#![allow(dead_code)] // Each test file uses its own part.

use super::hub_server::Hub;
use super::support::{World, text};
use std::path::PathBuf;
use std::process::{Output, Stdio};

/// The only large file of the base besides its vocabulary.
pub const WEIGHTS: &str = "model.safetensors";

pub struct Room {
    pub world: World,
    pub hub: Hub,
}

impl Room {
    pub fn new() -> Self {
        let files = glm_demo::ASSETS.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        Self { world: World::new(), hub: Hub::new(files) }
    }

    /// The model's folder in the cache.
    pub fn repo(&self) -> PathBuf {
        self.world.path("home/hub/models--THUDM--tiny")
    }

    /// Names of unfinished files in the cache.
    pub fn leftovers(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.repo().join("blobs")).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(".incomplete") || name.starts_with('.')).collect()
    }

    /// The binary with nothing of this machine's settings.
    fn run(&self, variables: &[(&str, &str)], words: &str) -> Output {
        let mut command = self.world.glmtune(words);
        for name in [
            "HF_HUB_CACHE",
            "HUGGINGFACE_HUB_CACHE",
            "TRANSFORMERS_CACHE",
            "HF_TOKEN",
            "HUGGING_FACE_HUB_TOKEN",
            "HF_TOKEN_PATH",
            "HF_HUB_OFFLINE",
            "TRANSFORMERS_OFFLINE",
            "HF_HUB_DISABLE_IMPLICIT_TOKEN",
        ] {
            command.env_remove(name);
        }
        for name in ["http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        command.env("HF_HOME", self.world.path("home")).env("HF_ENDPOINT", &self.hub.endpoint);
        command.envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs and expects success; returns standard output and error together.
    pub fn ok(&self, words: &str) -> String {
        let output = self.run(&[], words);
        let text = text(&output);
        assert!(output.status.success(), "{words}\n{text}");
        text
    }

    /// `chat` without a question: the base is loaded, and that is all.
    pub fn chat(&self, variables: &[(&str, &str)], flags: &str) -> Output {
        self.run(variables, &format!("chat --model_name_or_path THUDM/tiny {flags}"))
    }

    /// The base can be loaded.
    pub fn loads(&self, flags: &str) -> String {
        self.loads_with(&[], flags)
    }

    pub fn loads_with(&self, variables: &[(&str, &str)], flags: &str) -> String {
        let output = self.chat(variables, flags);
        let text = text(&output);
        assert!(output.status.success(), "{flags}\n{text}");
        text
    }

    /// It cannot; returns why.
    pub fn refused(&self, flags: &str) -> String {
        self.refused_with(&[], flags)
    }

    pub fn refused_with(&self, variables: &[(&str, &str)], flags: &str) -> String {
        let output = self.chat(variables, flags);
        let text = text(&output);
        assert!(matches!(output.status.code(), Some(1 | 2)) && !text.contains("panicked"), "{flags}\n{text}");
        text
    }
}

/// Names of the tensors in a safetensors file.
pub fn tensors(bytes: &[u8]) -> Vec<String> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    header.as_object().unwrap().keys().filter(|name| *name != "__metadata__").cloned().collect()
}
