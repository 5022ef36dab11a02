//! Reading and checking `tokenizer.model` and `ice_text.model`.
//!
//! The checks keep out files of other models before any of their ids can reach a network, and hostile files before they
//! reach the encoder.

use std::collections::HashSet;

use sentencepiece_model::{ModelType, SentencePieceModel, Type};

use crate::variant::Variant;

/// The blank of SentencePiece, U+2581.
pub(super) const BLANK: char = '\u{2581}';
/// Longest piece that is accepted, in bytes; the official vocabulary stays below 50.
const MAX_PIECE_BYTES: usize = 512;
/// Most pieces that are accepted.
const MAX_PIECES: usize = 1 << 20;

/// What a token id decodes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Nothing: unknown and control pieces.
    Silent,
    /// One byte of a UTF-8 sequence.
    Byte(u8),
    /// Text, with its blanks already real blanks; `blank` says that it starts with one made from U+2581.
    Text { text: Box<str>, blank: bool },
}

impl Piece {
    /// Text that stands for itself.
    pub(super) fn literal(text: &str) -> Self {
        Self::Text { text: text.into(), blank: false }
    }
}

/// Decoding table and ids of a checked vocabulary.
#[derive(Debug)]
pub(super) struct ModelFile {
    pub(super) model: SentencePieceModel,
    pub(super) pieces: Vec<Piece>,
    pub(super) unk_id: u32,
    pub(super) eos_id: u32,
    pub(super) max_piece_chars: usize,
}

impl ModelFile {
    /// Parses the bytes of a vocabulary and checks that it is of the kind that `variant` needs.
    pub(super) fn parse(bytes: &[u8], variant: Variant) -> Result<Self, String> {
        let model = SentencePieceModel::from_slice(bytes).map_err(|e| format!("not a SentencePiece file ({e})"))?;
        check_settings(&model, variant)?;
        let count = model.pieces().len();
        if count == 0 || count > MAX_PIECES {
            return Err(format!("expected 1 to {MAX_PIECES} pieces, found {count}"));
        }
        let mut seen = HashSet::with_capacity(count);
        let mut pieces = Vec::with_capacity(count);
        let mut max_piece_chars = 0;
        for (id, piece) in model.pieces().iter().enumerate() {
            let text = piece.piece.as_deref().unwrap_or_default();
            if text.is_empty() || text.len() > MAX_PIECE_BYTES {
                return Err(format!("piece {id} has {} bytes, expected 1 to {MAX_PIECE_BYTES}", text.len()));
            }
            if !seen.insert(text) {
                return Err(format!("piece {id} ({text:?}) occurs twice"));
            }
            let kind = piece.r#type.map_or(Ok(Type::Normal), Type::try_from);
            pieces.push(match kind.map_err(|e| format!("piece {id} ({text:?}) is of no known type ({e})"))? {
                Type::Unknown | Type::Control => Piece::Silent,
                Type::Byte => {
                    Piece::Byte(byte_value(text).ok_or_else(|| format!("piece {id} ({text:?}) is not a byte"))?)
                }
                Type::Normal | Type::UserDefined | Type::Unused => {
                    max_piece_chars = max_piece_chars.max(text.chars().count());
                    Piece::Text { text: text.replace(BLANK, " ").into(), blank: text.starts_with(BLANK) }
                }
            });
        }
        if max_piece_chars == 0 {
            return Err("it holds no ordinary pieces".into());
        }
        let trainer = model.trainer().ok_or("the trainer settings are missing")?;
        let unk_id = silent_id(&pieces, trainer.unk_id(), "unknown")?;
        let eos_id = silent_id(&pieces, trainer.eos_id(), "end")?;
        Ok(Self { pieces, unk_id, eos_id, max_piece_chars, model })
    }

    /// The id of the piece `name`.
    pub(super) fn id_of(&self, name: &str) -> Result<u32, String> {
        let id = self.texts().position(|text| text == name);
        id.map(|id| id as u32).ok_or_else(|| format!("it has no piece {name:?}, which ChatGLM-6B needs"))
    }

    /// Text of every piece, in the order of the ids.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.model.pieces().iter().map(|piece| piece.piece.as_deref().unwrap_or_default())
    }
}

/// The settings with which the official vocabularies were trained; others would need another text normalisation.
fn check_settings(model: &SentencePieceModel, variant: Variant) -> Result<(), String> {
    let name = variant.name();
    let trainer = model.trainer().ok_or("the trainer settings are missing")?;
    let normalizer = model.normalizer().ok_or("the normalizer settings are missing")?;
    let other_model = format!("check that the folder holds a {name} model");
    match (variant, trainer.model_type()) {
        (Variant::ChatGlm, ModelType::Unigram) | (Variant::ChatGlm2 | Variant::ChatGlm3, ModelType::Bpe) => {}
        (Variant::ChatGlm2 | Variant::ChatGlm3, ModelType::Unigram) => {
            return Err(format!(
                "it is a Unigram vocabulary (as ChatGLM-6B's ice_text.model), but {name} needs a BPE one; {other_model}"
            ));
        }
        (Variant::ChatGlm, ModelType::Bpe) => {
            return Err(format!(
                "it is a BPE vocabulary (as ChatGLM2's tokenizer.model), but {name} needs the Unigram one of \
                 ice_text.model; {other_model}"
            ));
        }
        (_, other) => return Err(format!("its type is {}, which {name} does not have", other.as_str_name())),
    }
    if !normalizer.add_dummy_prefix() || !normalizer.escape_whitespaces() {
        return Err(format!("{name} puts a blank before the text and marks blanks; this file does otherwise"));
    }
    if trainer.treat_whitespace_as_suffix() {
        return Err(format!("it marks blanks behind words, but {name} marks them before words"));
    }
    if variant == Variant::ChatGlm {
        return Ok(());
    }
    if normalizer.name() != "identity" || !normalizer.precompiled_charsmap().is_empty() {
        return Err(format!("it normalises text ({:?}), but {name} uses identity", normalizer.name()));
    }
    if normalizer.remove_extra_whitespaces() {
        return Err(format!("{name} keeps all blanks; this file does otherwise"));
    }
    Ok(())
}

/// `<0x41>` → `0x41`.
fn byte_value(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
        .then(|| u8::from_str_radix(digits, 16).ok())
        .flatten()
}

fn silent_id(pieces: &[Piece], id: i32, what: &str) -> Result<u32, String> {
    let index = usize::try_from(id).ok().filter(|&i| pieces.get(i) == Some(&Piece::Silent));
    index.map(|i| i as u32).ok_or_else(|| format!("id {id} should be the {what} token, but is not one in its pieces"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_pieces() {
        assert_eq!(byte_value("<0xE4>"), Some(0xe4));
        for bad in ["<0xE>", "<0x+4>", "0xE4", "<0xE4", "<0xXY>", "<0x123>", "<0x你>"] {
            assert_eq!(byte_value(bad), None, "{bad}");
        }
    }
}
