//! What trains while the base stays frozen.

mod cause;
mod checkpoint;
mod locate;
mod lora;
mod open;
pub mod peft;
mod prefix;
mod site;
mod slots;
mod write;

pub(crate) use checkpoint::refuse_as_base;
pub use checkpoint::{PrefixFile, SAFETENSORS_FILE, TORCH_FILE, holds_only_prefix, write_prefix};
pub use lora::{LoraAdapter, LoraConfig, LoraInit};
pub use open::{AdapterFile, LoadedAdapter, open};
pub use peft::{LoraFile, write_lora};
pub use prefix::{PrefixConfig, PrefixEncoder};
pub use site::{Site, parse_targets};
pub use slots::AdapterSlots;
