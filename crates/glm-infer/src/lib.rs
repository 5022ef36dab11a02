//! Generation and evaluation for the ChatGLM family.

mod config;
pub mod decode;
mod engine;
mod error;
mod evaluate;
pub mod metric;
pub mod predictions;

pub use config::GenerationConfig;
pub use engine::{Answer, Engine, Finish, Request, Running, SpecialIds};
pub use error::{InferError, Result};
pub use evaluate::{EvaluateOptions, EvaluateProgress, Evaluation, evaluate};
