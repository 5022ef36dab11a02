//! Optimizers over named slices: they know neither tensors nor the network.

mod adamw;
mod update;

pub use adamw::{AdamW, AdamWConfig, Norms, OptimError, ParamSlice, Step, decays};
