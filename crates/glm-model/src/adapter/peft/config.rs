//! `adapter_config.json`. What is set in it and not supported is refused by name: an adapter that is only half applied
//! answers wrongly without a word.

use super::CONFIG_FILE;
use crate::adapter::lora::LoraInit;
use crate::{ModelError, Result};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// More bytes than any such file has.
const MOST_BYTES: u64 = 4 << 20;
/// Largest rank that is read: above the width of every base.
const MOST_RANK: u64 = 1 << 16;

/// Most parts of a fused layer: queries, keys and values, and one to spare.
const MOST_PARTS: usize = 4;

/// Keys that are read, or that say nothing about what the adapter computes.
const KNOWN: [&str; 23] = [
    "auto_mapping",
    "base_model_name_or_path",
    "bias",
    "enable_lora",
    "eva_config",
    "exclude_modules",
    "inference_mode",
    "init_lora_weights",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "megatron_core",
    "merge_weights",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "use_rslora",
    "fan_in_fan_out",
];

/// Why some keys are refused.
const REASONS: [(&str, &str); 7] = [
    ("use_dora", "DoRA also rescales the weights themselves"),
    ("rank_pattern", "some modules have a rank of their own"),
    ("alpha_pattern", "some modules have a factor of their own"),
    ("modules_to_save", "whole modules were trained beside the additions"),
    ("layers_pattern", "blocks are chosen by a pattern"),
    ("lora_bias", "biases were trained"),
    ("trainable_token_indices", "rows of the embedding were trained"),
];

const ADVICE: &str = "merge it in Python (merge_and_unload of peft) and take the merged folder as the base";

/// Kinds of adapters that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeftType {
    /// Additions to linear layers.
    Lora,
    /// Keys and values in front of every block's own.
    PrefixTuning,
}

/// The file, parsed.
#[derive(Debug, Clone)]
pub struct PeftConfig {
    path: PathBuf,
    keys: Map<String, Value>,
}

/// What it says of a LoRA adapter.
#[derive(Debug, Clone)]
pub struct LoraSettings {
    pub rank: usize,
    pub alpha: f64,
    pub dropout: f32,
    pub use_rslora: bool,
    pub init: LoraInit,
    /// Which equal parts of a fused layer have additions of their own, in very old files.
    pub enable_lora: Option<Vec<bool>>,
    pub base: Option<String>,
}

impl PeftConfig {
    /// Reads it from `folder`; `None` when there is none.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(CONFIG_FILE);
        let Ok(about) = std::fs::metadata(&path) else { return Ok(None) };
        if about.len() > MOST_BYTES {
            return Err(ModelError::file(path, format!("{} bytes, more than any such file has", about.len())));
        }
        let text = std::fs::read(&path).map_err(ModelError::io(&path))?;
        let keys = serde_json::from_slice(&text)
            .map_err(|e| ModelError::file(&path, format!("not a json object: {e}; copy or download it again")))?;
        Ok(Some(Self { path, keys }))
    }

    fn wrong(&self, reason: impl Into<String>) -> ModelError {
        ModelError::file(&self.path, reason)
    }

    /// A key that is there and not null.
    fn get(&self, key: &str) -> Option<&Value> {
        self.keys.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    /// A whole number.
    pub fn size(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let size = value.as_u64().filter(|n| (1..=u64::from(u32::MAX)).contains(n));
        let expected = || self.wrong(format!("{key} is {}, expected a positive integer", short(value)));
        Ok(Some(size.ok_or_else(expected)? as usize))
    }

    fn number(&self, key: &str) -> Result<f64> {
        let value = self.get(key).ok_or_else(|| self.wrong(format!("{key} is missing")))?;
        let number = value.as_f64().filter(|n| n.is_finite());
        number.ok_or_else(|| self.wrong(format!("{key} is {}, expected a number", short(value))))
    }

    fn flag(&self, key: &str) -> Result<bool> {
        let Some(value) = self.get(key) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.wrong(format!("{key} is {}, expected true or false", short(value))))
    }

    /// Which kind of adapter it describes.
    pub fn kind(&self) -> Result<PeftType> {
        match self.text("peft_type") {
            // The first releases wrote no other kind.
            Some("LORA") | None if self.get("r").is_some() => Ok(PeftType::Lora),
            Some("LORA") => Err(self.wrong("peft_type is LORA, but r is missing")),
            Some("PREFIX_TUNING") => Ok(PeftType::PrefixTuning),
            other => Err(self.wrong(format!(
                "peft_type is {}; LORA and PREFIX_TUNING are supported. For other kinds {ADVICE}",
                other.unwrap_or("missing")
            ))),
        }
    }

    /// The settings of a LoRA adapter.
    pub fn lora(&self) -> Result<LoraSettings> {
        self.refuse_unsupported()?;
        let rank = self.size("r")?.filter(|r| *r as u64 <= MOST_RANK);
        let dropout = self.get("lora_dropout").map_or(Ok(0.0), |_| self.number("lora_dropout"))?;
        if !(0.0..1.0).contains(&dropout) {
            return Err(self.wrong(format!("lora_dropout is {dropout}, expected 0 or more and less than 1")));
        }
        Ok(LoraSettings {
            rank: rank.ok_or_else(|| self.wrong(format!("r is missing or more than {MOST_RANK}")))?,
            alpha: self.number("lora_alpha")?,
            dropout: dropout as f32,
            use_rslora: self.flag("use_rslora")?,
            init: self.init()?,
            enable_lora: self.enable_lora()?,
            base: self.text("base_model_name_or_path").map(str::to_owned),
        })
    }

    fn init(&self) -> Result<LoraInit> {
        match self.get("init_lora_weights") {
            None | Some(Value::Bool(_)) => Ok(LoraInit::Kaiming),
            Some(Value::String(name)) if ["eva", "orthogonal"].contains(&name.as_str()) => Ok(LoraInit::Kaiming),
            Some(Value::String(name)) if name == "gaussian" => Ok(LoraInit::Gaussian),
            Some(other) => Err(self.wrong(format!(
                "init_lora_weights is {}: such a start changes the weights of the base too, so that the adapter does not \
                 belong to the published one. Save it with peft's path_initial_model_for_weight_conversion first, or {ADVICE}",
                short(other)
            ))),
        }
    }

    fn enable_lora(&self) -> Result<Option<Vec<bool>>> {
        let Some(value) = self.get("enable_lora") else { return Ok(None) };
        let parts: Option<Vec<bool>> = value.as_array().map(|parts| parts.iter().filter_map(Value::as_bool).collect());
        let whole = |parts: &Vec<bool>| {
            Some(parts.len()) == value.as_array().map(Vec::len) && parts.contains(&true) && parts.len() <= MOST_PARTS
        };
        match parts.filter(whole) {
            Some(parts) => Ok(Some(parts)),
            None => Err(self.wrong(format!(
                "enable_lora is {}, expected 1 to {MOST_PARTS} truth values, one of them true",
                short(value)
            ))),
        }
    }

    fn refuse_unsupported(&self) -> Result<()> {
        match self.text("task_type") {
            None | Some("CAUSAL_LM" | "SEQ_2_SEQ_LM") => {}
            Some(other) => {
                return Err(self.wrong(format!("task_type is {other}; only adapters that generate text are supported")));
            }
        }
        if let Some(bias) = self.text("bias").filter(|bias| *bias != "none") {
            return Err(self.wrong(format!(
                "bias is {bias:?}: biases of the base were trained, which is not supported; {ADVICE}"
            )));
        }
        if self.flag("fan_in_fan_out")? {
            let reason = "fan_in_fan_out is true: it is for models whose weights are stored transposed, which those of ChatGLM \
                          are not; set it to false if the adapter was trained on ChatGLM";
            return Err(self.wrong(reason));
        }
        for (key, value) in &self.keys {
            if KNOWN.contains(&key.as_str()) || unset(value) {
                continue;
            }
            let reason = REASONS.iter().find(|(known, _)| known == key).map_or("", |(_, reason)| *reason);
            let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            return Err(self.wrong(format!("{key} is {}{why}, which is not supported; {ADVICE}", short(value))));
        }
        Ok(())
    }
}

fn unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(items) => items.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// A value as text that fits into a sentence.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
