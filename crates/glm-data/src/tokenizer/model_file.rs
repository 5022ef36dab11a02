//! Reading and checking `tokenizer.model`.
//!
//! The checks keep out files of other models before any of their ids can reach a network, and hostile files before they
//! reach the encoder.

use std::collections::HashSet;

use sentencepiece_model::{ModelType, SentencePieceModel, Type};

use crate::variant::Variant;

/// The blank of SentencePiece, U+2581.
const BLANK: char = '\u{2581}';
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

/// Decoding table and ids of a checked vocabulary.
#[derive(Debug)]
pub(super) struct ModelFile {
    pub(super) pieces: Vec<Piece>,
    pub(super) unk_id: u32,
    pub(super) eos_id: u32,
    pub(super) max_piece_chars: usize,
}

/// Parses the bytes of a `tokenizer.model` and checks that it is of the kind that `variant` needs.
pub(super) fn parse(bytes: &[u8], variant: Variant) -> Result<ModelFile, String> {
    let model = SentencePieceModel::from_slice(bytes).map_err(|e| format!("not a SentencePiece file ({e})"))?;
    check_settings(&model, variant)?;
    let trainer = model.trainer().ok_or("the trainer settings are missing")?;

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
            Type::Byte => Piece::Byte(byte_value(text).ok_or_else(|| format!("piece {id} ({text:?}) is not a byte"))?),
            Type::Normal | Type::UserDefined | Type::Unused => {
                max_piece_chars = max_piece_chars.max(text.chars().count());
                // The encoder splits the text before runs of blanks, so it could never emit such a piece.
                if text.trim_start_matches(BLANK).contains(BLANK) {
                    return Err(format!(
                        "piece {id} ({text:?}) has a blank inside; such vocabularies are not supported"
                    ));
                }
                Piece::Text { text: text.replace(BLANK, " ").into(), blank: text.starts_with(BLANK) }
            }
        });
    }
    if max_piece_chars == 0 {
        return Err("it holds no ordinary pieces".into());
    }
    let unk_id = silent_id(&pieces, trainer.unk_id(), "unknown")?;
    let eos_id = silent_id(&pieces, trainer.eos_id(), "end")?;
    Ok(ModelFile { pieces, unk_id, eos_id, max_piece_chars })
}

/// The settings with which the official vocabulary was trained; others would need another text normalisation.
fn check_settings(model: &SentencePieceModel, variant: Variant) -> Result<(), String> {
    let name = variant.name();
    let trainer = model.trainer().ok_or("the trainer settings are missing")?;
    match trainer.model_type() {
        ModelType::Bpe => {}
        ModelType::Unigram => {
            return Err(format!(
                "it is a Unigram vocabulary (as ChatGLM-6B's ice_text.model), but {name} needs a BPE one; check that \
                 the folder holds a {name} model"
            ));
        }
        other => return Err(format!("its type is {}, but {name} needs BPE", other.as_str_name())),
    }
    let normalizer = model.normalizer().ok_or("the normalizer settings are missing")?;
    if normalizer.name() != "identity" || !normalizer.precompiled_charsmap().is_empty() {
        return Err(format!("it normalises text ({:?}), but {name} uses identity", normalizer.name()));
    }
    if normalizer.remove_extra_whitespaces() || !normalizer.add_dummy_prefix() || !normalizer.escape_whitespaces() {
        return Err(format!("{name} keeps all blanks and puts one before the text; this file does otherwise"));
    }
    if trainer.treat_whitespace_as_suffix() {
        return Err(format!("it marks blanks behind words, but {name} marks them before words"));
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
