//! Dataset readers, tokenizer, prompts and packed batches of the ChatGLM family.
//!
//! Rows of a file become [`TrainRow`]s, and rows become a packed [`Batch`]. This crate knows nothing of tensors.

mod batch;
mod config;
mod variant;

pub use batch::{Batch, IGNORE_INDEX, Segment, Target, TrainRow};
pub use config::DataConfig;
pub use variant::Variant;
