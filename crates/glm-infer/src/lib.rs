//! Generation and evaluation for the ChatGLM family.

mod config;
pub mod decode;
mod engine;
mod error;
mod evaluate;
pub mod metric;
pub mod predictions;

pub use config::GenerationConfig;
pub use engine::{Answer, Ended, Engine, Finish, Load, Logprobs, Past, Request, Running, SpecialIds, Token};
pub use error::{InferError, Result};
pub use evaluate::{EvaluateOptions, EvaluateProgress, Evaluation, evaluate};
