//! peft's PREFIX_TUNING: one tensor `prompt_embeddings`, `[positions, 2 · layers · token_dim]`.
//!
//! A row is read as `[2 · layers, heads, values of a head]`, first the keys of block 0, then its values, and so on: the
//! order of the official prefix encoder. peft then turns the axes for models that want the batch first, which ChatGLM does
//! not; that happens when it runs and is no part of the file, so a prefix that was trained with the axes that ChatGLM wants
//! is taken over row by row.

use super::PeftConfig;
use crate::{ModelError, Result};
use std::path::Path;

/// Name of the tensor.
pub const PROMPT_EMBEDDINGS: &str = "prompt_embeddings";

/// Compares the tensor with what the settings beside it say.
///
/// # Errors
/// Names the setting and both sizes.
pub fn check(path: &Path, config: &PeftConfig, shape: &[usize]) -> Result<()> {
    let refuse = |reason: String| Err(ModelError::file(path, reason));
    let &[positions, width] = shape else {
        return refuse(format!("{PROMPT_EMBEDDINGS} is {shape:?}, expected two sizes: positions and their width"));
    };
    if let Some(tokens) = config.size("num_virtual_tokens")?.filter(|n| *n != positions) {
        return refuse(format!("num_virtual_tokens is {tokens}, but {PROMPT_EMBEDDINGS} is {shape:?}"));
    }
    let modules = config.size("num_transformer_submodules")?.unwrap_or(1);
    if modules != 1 {
        return refuse(format!(
            "num_transformer_submodules is {modules}: it is for models with an encoder and a decoder, and ChatGLM has one part"
        ));
    }
    if let (Some(layers), Some(wide)) = (config.size("num_layers")?, config.size("token_dim")?)
        && layers.checked_mul(2).and_then(|n| n.checked_mul(wide)) != Some(width)
    {
        return refuse(format!(
            "{PROMPT_EMBEDDINGS} is {shape:?}, but num_layers {layers} and token_dim {wide} want a width of {}",
            2u128 * layers as u128 * wide as u128
        ));
    }
    Ok(())
}
