//! Training against the official code, for every variant that the fixtures have.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod freeze;
mod full;
mod ptuning;
mod support;
