//! The demo of glmtune: generated text, its vocabulary and the recipe of its tiny base.

pub mod corpus;
pub mod recipe;
pub mod rng;
pub mod vocabulary;
