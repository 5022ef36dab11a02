//! Weight files from strangers: whatever they hold, opening and loading them gives a network or an error that names what
//! is wrong, never a panic and never more memory than the file is worth.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod files;
mod mutated;
mod support;
mod values;
