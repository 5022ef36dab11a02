//! The ChatGLM network, its weights, quantization and adapters.
//!
//! Shape legend: `T` tokens of a packed batch, `R` past rows, `N` scored rows, `V` vocabulary; matrices are `[out, in]`.

pub mod adapter;
pub mod atomic;
pub mod companions;
pub mod config;
mod error;
pub mod export;
pub mod glm;
pub mod ops;
pub mod quant;
pub mod quantized_file;
pub mod random_base;
pub mod variant;
pub mod weights;

pub use config::GlmConfig;
pub use error::{ModelError, Result};
pub use glm::{AdapterInputs, CACHE_BLOCK, KvCache, LoadOptions, Network, Trains};
pub use quant::{Compute, DenseType, Scheme};
