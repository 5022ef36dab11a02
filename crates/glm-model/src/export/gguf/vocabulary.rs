//! The vocabulary of a ChatGLM2 or ChatGLM3 folder as llama.cpp wants it: every row of the embedding has a text, a score
//! and a type.

use crate::{GlmConfig, ModelError, Result, companions};
use glm_data::{Tokenizer, Variant};
use sentencepiece_model::SentencePieceModel;
use std::collections::HashSet;
use std::path::Path;

/// Name of the vocabulary in a folder.
pub(super) const FILE: &str = "tokenizer.model";
/// Tokens behind the pieces of the file, in the order of their ids.
const SPECIAL: [&str; 5] = ["[MASK]", "[gMASK]", "[sMASK]", "sop", "eop"];
/// The roles that ChatGLM3 has behind them.
const ROLES: [&str; 4] = ["<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"];
// Token types of llama.cpp; those of the pieces have the numbers that SentencePiece gives them.
const CONTROL: i32 = 3;
const UNUSED: i32 = 5;

/// Texts, scores and types of all rows of the embedding.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Vocabulary {
    pub tokens: Vec<String>,
    pub scores: Vec<f32>,
    pub types: Vec<i32>,
    pub eos: u32,
    pub unknown: u32,
    /// The user's role, at which a ChatGLM3 answer ends too.
    pub end_of_turn: Option<u32>,
}

/// Reads the `tokenizer.model` of a folder.
pub(super) fn read(folder: &Path, config: &GlmConfig) -> Result<Vocabulary> {
    let path = companions::vocabulary(folder, FILE, "llama.cpp reads from the exported file")?;
    let bytes = std::fs::read(&path).map_err(ModelError::io(&path))?;
    // The tokenizer's own checks keep out files of other models.
    let tokenizer =
        Tokenizer::from_bytes(&bytes, config.variant).map_err(|e| ModelError::file(&path, e.to_string()))?;
    let (eos, unknown) = (tokenizer.eos_id(), tokenizer.pad_id());
    build(&bytes, config, eos, unknown).map_err(|reason| ModelError::file(&path, reason))
}

fn build(bytes: &[u8], config: &GlmConfig, eos: u32, unknown: u32) -> Result<Vocabulary, String> {
    let model = SentencePieceModel::from_slice(bytes).map_err(|e| format!("not a SentencePiece file ({e})"))?;
    let pieces = model.pieces();
    let roles: &[&str] = if config.variant == Variant::ChatGlm3 { &ROLES } else { &[] };
    let known = pieces.len() + SPECIAL.len() + roles.len();
    if known > config.vocab_size {
        let rows = config.vocab_size;
        return Err(format!("it has {known} tokens, but the embedding has only {rows} rows"));
    }
    let mut vocabulary = Vocabulary {
        tokens: pieces.iter().map(|piece| piece.piece().to_string()).collect(),
        scores: pieces.iter().map(|piece| piece.score()).collect(),
        types: pieces.iter().map(|piece| piece.r#type() as i32).collect(),
        eos,
        unknown,
        end_of_turn: (!roles.is_empty()).then_some((pieces.len() + SPECIAL.len() + 1) as u32),
    };
    let mut add = |text: String, kind: i32| {
        vocabulary.tokens.push(text);
        vocabulary.scores.push(0.0);
        vocabulary.types.push(kind);
    };
    SPECIAL.iter().chain(roles).for_each(|text| add((*text).to_string(), CONTROL));
    (known..config.vocab_size).for_each(|id| add(format!("[PAD{id}]"), UNUSED));
    // llama.cpp finds tokens by their text, so two of the same text would change how texts are split.
    let mut seen = HashSet::new();
    match vocabulary.tokens.iter().find(|text| !seen.insert(text.as_str())) {
        Some(text) => {
            Err(format!("the text {text:?} is a piece and a special token, which llama.cpp cannot tell apart"))
        }
        None => Ok(vocabulary),
    }
}
