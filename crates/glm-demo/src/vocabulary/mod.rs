//! The vocabulary of the demo's base: a SentencePiece BPE model of the same form as ChatGLM2's `tokenizer.model`.

mod bpe;
mod model;

use crate::corpus::{Row, wording};

/// Largest number of characters in a piece. A corpus made of templates would otherwise turn whole clauses into pieces, and a
/// value would be another piece in an advertisement than in a list, so that a small model could not just copy it.
const MAX_PIECE_CHARS: usize = 3;
/// The fixed text around a first and a second question in ChatGLM2's prompt, one entry per line.
const PROMPT_LINES: [&str; 4] = ["[Round 1]", "[Round 2]", "问：", "答："];

/// Why a vocabulary could not be trained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VocabularyError {
    /// The control pieces, the bytes and the characters of the texts need more room.
    #[error(
        "a vocabulary of {wanted} pieces cannot hold the {needed} pieces that these texts need at least \
         (3 control pieces, 256 bytes, one per character): ask for more pieces"
    )]
    TooSmall {
        /// The size that was asked for.
        wanted: usize,
        /// The smallest possible size.
        needed: usize,
    },
    /// The texts have too few repeated pairs.
    #[error(
        "these texts yield only {available} pieces, {wanted} were asked for: give more text or ask for fewer pieces"
    )]
    TooLarge {
        /// The size that was asked for.
        wanted: usize,
        /// The number of pieces found.
        available: usize,
    },
}

/// Trains a vocabulary of `vocab_size` pieces and returns the bytes of its `tokenizer.model`.
///
/// Pieces: 0 `<unk>`, 1 `<s>`, 2 `</s>`, the 256 bytes, the merged pieces in the order of their merges, then the single
/// characters, the most frequent first; the scores of the last two groups are 0, -1, -2, …. The same texts always give the
/// same bytes. Every character of the texts becomes a piece, except line ends, which, as in ChatGLM2's vocabulary, are
/// encoded as bytes.
///
/// # Errors
/// When `vocab_size` is too small for the characters of the texts or larger than their repetitions allow.
pub fn train(texts: &[String], vocab_size: usize) -> Result<Vec<u8>, VocabularyError> {
    let pieces = bpe::learn(texts, vocab_size, MAX_PIECE_CHARS)?;
    Ok(model::encode(&pieces, MAX_PIECE_CHARS))
}

/// Everything in `rows` that a model of this vocabulary will read or write, with the fixed text of the prompts around it and
/// the corpus's whole wording, so that no character of any other row is missing.
pub fn texts_of(rows: &[Row]) -> Vec<String> {
    let mut texts = wording();
    for row in rows {
        texts.extend(PROMPT_LINES.iter().map(|line| (*line).to_owned()));
        let turns = row.history.iter().flat_map(|(said, answer)| [said, answer]);
        texts.extend(turns.chain([&row.prompt, &row.response]).cloned());
    }
    // Later rounds of a chat, and numbers, must not fall back to bytes either.
    texts.push("0123456789".to_owned());
    texts
}

#[cfg(test)]
mod tests;
