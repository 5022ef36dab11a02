//! Dataset readers, tokenizer, prompts and packed batches of the ChatGLM family.
//!
//! Rows of a file ([`read_rows`]) become [`TrainRow`]s ([`train_rows`]) or [`EvalRow`]s ([`eval_rows`]), and rows become a
//! packed [`Batch`]. This crate knows nothing of tensors.

mod batch;
pub mod check;
mod config;
mod error;
mod fingerprint;
pub mod format;
mod order;
mod position;
mod preprocess;
pub mod prompt;
mod reader;
mod rng;
mod tokenizer;
mod variant;

pub use batch::{Batch, IGNORE_INDEX, Segment, Target, TrainRow};
pub use config::{DataConfig, OnOverflow, TrainOn};
pub use error::DataError;
pub use fingerprint::fingerprint_file;
pub use order::epoch_order;
pub use position::Positions;
pub use preprocess::{EvalRow, Lengths, PreprocessReport, chat_ids, eval_rows, train_rows};
pub use prompt::Turn;
pub use reader::{Encoding, Json, Row, Rows, SkippedRow, read_rows};
pub use rng::Rng;
pub use tokenizer::{StreamDecoder, Tokenizer, clean_up};
pub use variant::Variant;
