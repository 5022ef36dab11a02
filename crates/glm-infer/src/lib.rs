//! Generation and evaluation for the ChatGLM family.

mod config;
pub mod metric;

pub use config::GenerationConfig;
