//! The network against the official code.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod forward;
mod quantized;
mod settled;
mod support;
