//! Adapter files of every origin: what is an adapter is read whatever its file is called, what is none or does not fit is
//! refused by name, and what strangers damaged never ends in a panic.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod hostile;
mod old;
mod peft;
mod prefix;
mod support;
