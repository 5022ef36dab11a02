//! A small random base, and `glmtune chat` on it through a pipe.
#![allow(dead_code)] // Each test file uses its own part.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use assert_cmd::Command;
use glm_data::{Rng, Tokenizer, Turn, Variant, prompt};
use glm_infer::{Engine, GenerationConfig, Request, SpecialIds};
use glm_model::adapter::{AdapterSlots, PrefixConfig, PrefixEncoder, write_prefix};
use glm_model::{LoadOptions, Network};
use glm_testkit::{fixture, write_random_base};
use std::process::Output;
use std::sync::atomic::AtomicBool;

/// Takes the best tokens, nine of them.
pub const GREEDY: &str = "--do_sample false --max_new_tokens 9";

/// A folder with a base in `base/`, and the base itself.
pub struct Room {
    pub folder: tempfile::TempDir,
    pub tokenizer: Tokenizer,
    pub network: Network,
}

pub fn room() -> Room {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    std::fs::create_dir(&base).unwrap();
    std::fs::copy(fixture("tiny-tokenizer/tokenizer.model"), base.join("tokenizer.model")).unwrap();
    let tokenizer = Tokenizer::from_file(&base.join("tokenizer.model"), Variant::ChatGlm2).unwrap();
    write_random_base(&base, tokenizer.vocab_size() + 4, 7);
    let network = Network::load(&base, LoadOptions::default(), &mut |_, _| {}).unwrap();
    Room { folder, tokenizer, network }
}

impl Room {
    pub fn chat(&self, flags: &str, typed: &str) -> Output {
        let mut command = Command::cargo_bin("glmtune").unwrap();
        command.current_dir(self.folder.path()).env("LC_ALL", "C").arg("chat").args(flags.split_whitespace());
        command.write_stdin(typed).output().unwrap()
    }

    /// A chat that goes well: the answers on standard output, and standard error.
    pub fn answers(&self, flags: &str, typed: &str) -> (String, String) {
        let output = self.chat(&format!("--model_name_or_path base {flags}"), typed);
        assert!(output.status.success(), "{flags}: {}", stderr(&output));
        (String::from_utf8(output.stdout.clone()).unwrap(), stderr(&output))
    }

    /// The greedy answer of so many tokens to a question after turns.
    pub fn expected(&self, prefix: Option<&PrefixEncoder>, history: &[Turn], question: &str, tokens: usize) -> String {
        self.expected_from(&self.network, prefix, history, question, tokens)
    }

    pub fn expected_from(
        &self,
        network: &Network,
        prefix: Option<&PrefixEncoder>,
        history: &[Turn],
        question: &str,
        tokens: usize,
    ) -> String {
        let ids = prompt::prompt_ids(&self.tokenizer, question, history, None);
        self.answer_to(network, prefix, ids, tokens)
    }

    /// The greedy answer of so many tokens to a prompt.
    pub fn answer_to(&self, network: &Network, prefix: Option<&PrefixEncoder>, ids: Vec<u32>, tokens: usize) -> String {
        let slots = AdapterSlots::default();
        let slot = prefix.map(|prefix| slots.add(prefix).unwrap());
        let config = GenerationConfig { do_sample: false, max_new_tokens: Some(tokens), ..Default::default() };
        let engine = Engine::new(network, &slots, SpecialIds::of(&self.tokenizer));
        let request = Request::new(ids, slot, &config);
        let answers = engine.generate(&[request], &config, &AtomicBool::new(false), &mut |_, _| {}).unwrap();
        prompt::process_response(Variant::ChatGlm2, &self.tokenizer.decode(&answers[0].tokens))
    }

    pub fn prefix(&self, folder: &str, seed: u64) -> PrefixEncoder {
        let config = PrefixConfig::new(self.network.config(), 5, false);
        let prefix = PrefixEncoder::new(config, &mut Rng::new(seed)).unwrap();
        self.save(folder, &prefix, &[]);
        prefix
    }

    /// Writes a checkpoint; `said` is what its files say of its training.
    pub fn save(&self, folder: &str, prefix: &PrefixEncoder, said: &[(&str, &str)]) {
        let folder = self.folder.path().join(folder);
        std::fs::create_dir(&folder).unwrap();
        let said = said.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        write_prefix(&folder, prefix, &said).unwrap();
    }
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Asserts that a command ended with this code and one clean message that holds all the parts.
pub fn refused(output: &Output, code: i32, parts: &[&str]) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(!message.contains("panicked"), "{message}");
    for part in parts {
        assert!(message.contains(part), "expected {part:?} in {message}");
    }
}
