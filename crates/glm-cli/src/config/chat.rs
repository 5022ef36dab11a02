//! Settings of `chat`.

use glm_infer::GenerationConfig;
use serde::Serialize;

use super::base::{AdapterConfig, BaseConfig};
use super::outputs;
use crate::args::sources::Given;
use crate::args::usage::{Remark, UsageError, refuse};
use crate::args::verbs::ChatKeys;

/// A conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChatSettings {
    /// The base.
    pub base: BaseConfig,
    /// A trained prefix; its checkpoint is always present.
    pub adapter: Option<AdapterConfig>,
    /// Decoding.
    pub generation: GenerationConfig,
    /// Keep earlier turns.
    pub history: bool,
    /// Threads to compute with; `None`: one a core.
    pub threads: Option<usize>,
}

impl ChatSettings {
    /// Resolves the keys.
    ///
    /// # Errors
    /// Names the key that is missing, out of range or in contradiction with another.
    pub fn resolve(given: &Given<ChatKeys>) -> Result<(Self, Vec<Remark>), UsageError> {
        let mut remarks = Vec::new();
        given.check_status(&mut remarks)?;
        let keys = &given.keys;
        let adapter = AdapterConfig::new(given, &keys.model)?;
        if adapter.as_ref().is_some_and(|adapter| adapter.checkpoint.is_none()) {
            refuse!(
                "{} without --ptuning_checkpoint would use an untrained, random prefix: give the checkpoint, or leave out \
                 --pre_seq_len",
                given.place("pre_seq_len")
            );
        }
        let talk = &keys.conversation;
        let generation = GenerationConfig {
            do_sample: talk.do_sample,
            temperature: talk.temperature,
            top_k: talk.top_k,
            top_p: talk.top_p,
            repetition_penalty: talk.repetition_penalty,
            max_length: talk.max_length,
            max_new_tokens: talk.max_new_tokens,
            seed: talk.seed,
        };
        outputs::check_generation(given, &generation)?;
        let settings = Self {
            base: BaseConfig::new(given, &keys.model, &keys.base)?,
            adapter,
            generation,
            history: !talk.no_history,
            threads: outputs::threads(given, keys.base.threads)?,
        };
        Ok((settings, remarks))
    }
}
