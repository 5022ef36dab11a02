//! What trains while the base stays frozen.

mod checkpoint;
mod prefix;

pub use checkpoint::{PrefixFile, write_prefix};
pub use prefix::{PrefixConfig, PrefixEncoder, PrefixSlots};
