//! Exports, read back by the crate's own readers and compared with the goldens.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod folder;
mod gguf;
mod merged;
mod prefix;
mod quantized;
mod support;
