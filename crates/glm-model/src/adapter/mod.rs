//! What trains while the base stays frozen.

mod checkpoint;
mod lora;
mod prefix;
mod site;
mod slots;

pub(crate) use checkpoint::refuse_as_base;
pub use checkpoint::{PrefixFile, SAFETENSORS_FILE, TORCH_FILE, holds_only_prefix, write_prefix};
pub use lora::{LoraAdapter, LoraConfig, LoraInit};
pub use prefix::{PrefixConfig, PrefixEncoder};
pub use site::{Site, parse_targets};
pub use slots::AdapterSlots;
