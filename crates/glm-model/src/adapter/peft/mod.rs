//! Adapters as Hugging Face's peft keeps them: `adapter_config.json` and the tensors beside it.

mod config;
mod file;
mod merged;
mod prefix_tuning;
mod write;

pub(super) use config::{PeftConfig, PeftType};
pub use file::LoraFile;
pub(super) use prefix_tuning::{PROMPT_EMBEDDINGS, check as check_prefix_tuning};
pub use write::write_lora;

/// Name of the settings.
pub const CONFIG_FILE: &str = "adapter_config.json";
/// Name of the tensors, as torch writes them.
pub const TORCH_FILE: &str = "adapter_model.bin";
/// Name of the tensors in safetensors form.
pub const SAFETENSORS_FILE: &str = "adapter_model.safetensors";
