//! What trains while the base stays frozen.

mod checkpoint;
mod prefix;

pub(crate) use checkpoint::refuse_as_base;
pub use checkpoint::{PrefixFile, SAFETENSORS_FILE, TORCH_FILE, holds_only_prefix, write_prefix};
pub use prefix::{AdapterSlots, PrefixConfig, PrefixEncoder};
