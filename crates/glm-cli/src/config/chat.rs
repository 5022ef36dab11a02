//! Settings of `chat`.

use std::path::PathBuf;

use glm_data::Variant;
use glm_infer::GenerationConfig;
use serde::Serialize;

use super::adapter::{self, AdapterConfig};
use super::base::BaseConfig;
use super::outputs;
use crate::args::sources::Given;
use crate::args::types::Bits;
use crate::args::usage::{Remark, UsageError, refuse};
use crate::args::verbs::ChatKeys;

/// What the bare base is called in a conversation.
pub const BASE: &str = "base";

/// A conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChatSettings {
    /// The base.
    pub base: BaseConfig,
    /// The adapter of the flags that other verbs have too: it answers at first.
    pub adapter: Option<AdapterConfig>,
    /// Adapters by their names.
    pub adapters: Vec<(String, PathBuf)>,
    /// Decoding, but for what the model decides.
    generation: GenerationConfig,
    /// What was asked for; the model decides the others.
    asked: Asked,
    /// Keep earlier turns.
    pub history: bool,
    /// What stands before the conversation.
    pub system_prompt: Option<String>,
    /// Keep what is typed on a terminal for the next conversation.
    pub input_history: bool,
    /// Threads to compute with; `None`: one a core.
    pub threads: Option<usize>,
}

/// Settings whose defaults every model has of its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Asked {
    max_length: Option<usize>,
    top_p: Option<f32>,
    temperature: Option<f32>,
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
        let talk = &keys.conversation;
        let mut model = keys.model.clone();
        if talk.load_in_8bit {
            if model.quantization_bit == Some(Bits::Four) {
                refuse!(
                    "{} and {} 4 contradict each other",
                    given.place("load_in_8bit"),
                    given.place("quantization_bit")
                );
            }
            model.quantization_bit = Some(Bits::Eight);
        }
        let files = keys.adapter.files(model.ptuning_checkpoint.as_deref());
        let settings = Self {
            base: BaseConfig::new(given, &model, &keys.base)?,
            adapter: AdapterConfig::to_use(given, &model, &files)?,
            adapters: adapter::named(given, "adapter", &talk.adapter, &[BASE])?,
            generation: outputs::decoding(
                &keys.decoding,
                GenerationConfig {
                    num_beams: talk.num_beams,
                    do_sample: talk.do_sample,
                    top_k: talk.top_k,
                    repetition_penalty: talk.repetition_penalty,
                    max_new_tokens: talk.max_new_tokens,
                    seed: talk.seed,
                    ..GenerationConfig::default()
                },
            ),
            asked: Asked { max_length: talk.max_length, top_p: talk.top_p, temperature: talk.temperature },
            history: !talk.no_history,
            system_prompt: talk.system_prompt.clone().filter(|text| !text.is_empty()),
            input_history: talk.input_history,
            threads: outputs::threads(given, keys.base.threads)?,
        };
        let generation = settings.generation(Variant::ChatGlm2);
        outputs::check_generation(given, &generation)?;
        outputs::remark_on_decoding(given, &generation, &mut remarks);
        settings.base.remark(given, &mut remarks);
        Ok((settings, remarks))
    }

    /// Decoding with a model, whose own `chat` decides what was not asked for.
    pub fn generation(&self, variant: Variant) -> GenerationConfig {
        let (max_length, top_p, temperature) = of_chat(variant);
        GenerationConfig {
            max_length: self.asked.max_length.unwrap_or(max_length),
            top_p: self.asked.top_p.unwrap_or(top_p),
            temperature: self.asked.temperature.unwrap_or(temperature),
            ..self.generation.clone()
        }
    }
}

/// `max_length`, `top_p` and `temperature` of the official `chat` of a model.
pub fn of_chat(variant: Variant) -> (usize, f32, f32) {
    match variant {
        Variant::ChatGlm => (2048, 0.7, 0.95),
        Variant::ChatGlm2 => (8192, 0.8, 0.8),
        Variant::ChatGlm3 => (32768, 0.8, 0.8),
    }
}
