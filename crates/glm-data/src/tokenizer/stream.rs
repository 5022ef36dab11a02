//! Decoding ids one by one.

use std::fmt::Write;

use super::Tokenizer;
use super::cleanup::CleanUp;
use super::model_file::Piece;
use crate::variant::Variant;

/// Decodes a stream of ids: what [`push`](Self::push) and the final [`finish`](Self::finish) return, joined, is what
/// [`Tokenizer::decode`] returns for all ids together.
///
/// Bytes of an unfinished character are held back until it is complete or cannot become so; for ChatGLM-6B also blanks
/// that the next character may remove.
#[derive(Debug, Clone)]
pub struct StreamDecoder<'a> {
    tokenizer: &'a Tokenizer,
    skip_specials: bool,
    bytes: Vec<u8>,
    /// No text yet and no leading blank taken off: the blank that encoding puts before a text is not part of it.
    at_start: bool,
    /// Of ChatGLM-6B, whose official decoder tidies up blanks.
    cleanup: Option<CleanUp>,
}

impl<'a> StreamDecoder<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer, skip_specials: bool) -> Self {
        let cleanup = (tokenizer.variant == Variant::ChatGlm).then(CleanUp::default);
        Self { tokenizer, skip_specials, bytes: Vec::new(), at_start: true, cleanup }
    }

    /// Takes the next id and returns the text that is now certain, often one piece, sometimes nothing.
    pub fn push(&mut self, id: u32) -> String {
        let mut text = String::new();
        self.push_raw(id, &mut text);
        match &mut self.cleanup {
            Some(cleanup) => {
                let mut clean = String::new();
                cleanup.push(&text, &mut clean);
                clean
            }
            None => text,
        }
    }

    /// Returns what was held back, with U+FFFD for each byte that never became a character, and starts afresh.
    pub fn finish(&mut self) -> String {
        let mut text = String::new();
        self.flush(&mut text);
        self.at_start = true;
        match &mut self.cleanup {
            Some(cleanup) => {
                let mut clean = String::new();
                cleanup.push(&text, &mut clean);
                cleanup.finish(&mut clean);
                clean
            }
            None => text,
        }
    }

    pub(super) fn decode(mut self, ids: &[u32]) -> String {
        let mut text: String = ids.iter().map(|&id| self.push(id)).collect();
        text.push_str(&self.finish());
        text
    }

    fn push_raw(&mut self, id: u32, text: &mut String) {
        if self.is_dropped(id) {
            return;
        }
        if id < self.tokenizer.image_tokens {
            self.flush(text);
            self.at_start = false;
            write!(text, "<image_{id}>").expect("writing to a string cannot fail");
            return;
        }
        match self.tokenizer.piece(id) {
            Piece::Byte(byte) => {
                self.bytes.push(*byte);
                self.emit_complete(text);
            }
            // Even an id without text ends a run of bytes.
            Piece::Silent => self.flush(text),
            Piece::Text { text: piece, blank } => {
                self.flush(text);
                let piece = if self.at_start && *blank { &piece[1..] } else { piece };
                // ChatGLM-6B takes the blank off each piece until there is text.
                self.at_start &= piece.is_empty() && self.tokenizer.variant == Variant::ChatGlm;
                text.push_str(piece);
            }
        }
    }

    /// Ids that the official decoder takes out beforehand, so that they do not even end a run of bytes.
    fn is_dropped(&self, id: u32) -> bool {
        let tokenizer = self.tokenizer;
        let Some(index) = id.checked_sub(tokenizer.image_tokens) else { return false };
        let pad = tokenizer.variant == Variant::ChatGlm && index == tokenizer.specials.pad;
        pad || self.skip_specials && tokenizer.specials.skipped.contains(&index)
    }

    /// Moves complete characters from the bytes to the text; a byte that can start no character becomes U+FFFD.
    fn emit_complete(&mut self, text: &mut String) {
        loop {
            let error = match std::str::from_utf8(&self.bytes) {
                Ok(rest) => {
                    self.at_start &= rest.is_empty();
                    text.push_str(rest);
                    self.bytes.clear();
                    return;
                }
                Err(error) => error,
            };
            let valid = error.valid_up_to();
            text.push_str(&String::from_utf8_lossy(&self.bytes[..valid]));
            self.at_start &= valid == 0;
            self.bytes.drain(..valid);
            if error.error_len().is_none() {
                return;
            }
            self.replace_first(text);
        }
    }

    /// SentencePiece replaces one byte at a time, not the longest invalid sequence.
    fn replace_first(&mut self, text: &mut String) {
        self.bytes.remove(0);
        self.at_start = false;
        text.push(char::REPLACEMENT_CHARACTER);
    }

    fn flush(&mut self, text: &mut String) {
        while !self.bytes.is_empty() {
            self.replace_first(text);
            self.emit_complete(text);
        }
    }
}
