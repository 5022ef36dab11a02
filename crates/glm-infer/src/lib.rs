//! Generation and evaluation for the ChatGLM family.

mod config;

pub use config::GenerationConfig;
