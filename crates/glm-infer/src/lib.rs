//! Generation and evaluation for the ChatGLM family.

mod config;
pub mod decode;
pub mod metric;
pub mod predictions;

pub use config::GenerationConfig;
