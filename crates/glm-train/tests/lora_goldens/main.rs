//! LoRA against peft over the official code: loss, every gradient, six optimizer steps, logits, merged weights; then what
//! no golden says: dropout, quantized bases, blocks that need no backward pass, mixed batches, runs that go on.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod mixed;
mod official;
mod resume;
mod support;
mod training;
