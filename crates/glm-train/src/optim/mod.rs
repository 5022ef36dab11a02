//! Optimizers over named slices: they know neither tensors nor the network.

mod adamw;
mod update;

pub(crate) use adamw::KINDS;
pub use adamw::{AdamW, AdamWConfig, Norms, OptimError, ParamSlice, Step, decays};
