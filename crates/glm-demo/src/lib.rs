//! The demo of glmtune: generated text, its vocabulary and the recipe of its tiny base.

pub mod corpus;
pub mod recipe;
pub mod rng;
pub mod vocabulary;

/// The demo's base, ready to be written into a folder: file name and content. Made by [`recipe`].
pub const ASSETS: [(&str, &[u8]); 3] = [
    ("config.json", include_bytes!("../assets/base/config.json")),
    ("tokenizer.model", include_bytes!("../assets/base/tokenizer.model")),
    ("model.safetensors", include_bytes!("../assets/base/model.safetensors")),
];
