//! SentencePiece vocabularies of the family, with ids and texts exactly as the official tokenizer class gives them.

mod model_file;
mod stream;

use std::path::Path;

use kitoken::convert::convert_sentencepiece;
use kitoken::{Fallback, Kitoken, Processing, SpecialTokenKind};

pub use stream::StreamDecoder;

use crate::error::DataError;
use crate::variant::Variant;
use model_file::{ModelFile, Piece};

/// Text to ids and back. Cheap to share between threads, expensive to load (a tenth of a second).
#[derive(Debug)]
pub struct Tokenizer {
    encoder: Kitoken,
    file: ModelFile,
    variant: Variant,
}

impl Tokenizer {
    /// Loads a `tokenizer.model`.
    ///
    /// # Errors
    /// [`DataError::Io`], or [`DataError::Tokenizer`] when the file is broken or belongs to another kind of model.
    pub fn from_file(file: &Path, variant: Variant) -> Result<Self, DataError> {
        let bytes = std::fs::read(file).map_err(|source| DataError::Io { file: file.into(), source })?;
        Self::build(&bytes, variant).map_err(|reason| DataError::Tokenizer { file: file.into(), reason })
    }

    /// As [`from_file`](Self::from_file), from the bytes of the file.
    ///
    /// # Errors
    /// [`DataError::Tokenizer`], which then calls the file `tokenizer.model`.
    pub fn from_bytes(bytes: &[u8], variant: Variant) -> Result<Self, DataError> {
        Self::build(bytes, variant).map_err(|reason| DataError::Tokenizer { file: "tokenizer.model".into(), reason })
    }

    fn build(bytes: &[u8], variant: Variant) -> Result<Self, String> {
        let file = model_file::parse(bytes, variant)?;
        let mut definition = convert_sentencepiece(bytes).map_err(|e| e.to_string())?;
        // Whatever the file says, encoding must not be able to fail.
        if !definition.config.fallback.contains(&Fallback::Skip) {
            definition.config.fallback.push(Fallback::Skip);
        }
        // A run of unknown characters is one token. The official file has byte fallback and so knows every character.
        definition.config.processing.push(Processing::Collapse { id: file.unk_id });
        let encoder = Kitoken::from_definition(definition).map_err(|e| e.to_string())?;
        Ok(Self { encoder, file, variant })
    }

    /// Ids of `text` without special tokens. Texts that look like special tokens are ordinary characters.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.encoder
            .encode(text, [SpecialTokenKind::Priority].as_slice())
            .expect("the fallback list ends with Skip, which accepts every piece")
    }

    /// [`prefix_ids`](Self::prefix_ids), then the ids of `text`: what the official tokenizer makes of a prompt.
    pub fn encode_prompt(&self, text: &str) -> Vec<u32> {
        let mut ids = self.prefix_ids().to_vec();
        ids.extend(self.encode(text));
        ids
    }

    /// The tokens before every prompt: `[gMASK] sop`.
    pub fn prefix_ids(&self) -> [u32; 2] {
        match self.variant {
            Variant::ChatGlm | Variant::ChatGlm2 | Variant::ChatGlm3 => [self.gmask_id(), self.sop_id()],
        }
    }

    /// The text of `ids`. Special, unknown and out-of-range ids have none (the official class raises for the last), and
    /// each byte that is part of no character becomes U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut text = String::new();
        let mut stream = self.stream();
        for &id in ids {
            stream.push_into(id, &mut text);
        }
        text.push_str(&stream.finish());
        text
    }

    /// A decoder that takes ids one by one.
    pub fn stream(&self) -> StreamDecoder<'_> {
        StreamDecoder::new(self)
    }

    /// Number of ids: pieces of the file and the five special tokens after them. The embedding of a model may have more
    /// rows.
    pub fn vocab_size(&self) -> usize {
        self.file.pieces.len() + 5
    }

    /// The variant for which the vocabulary was loaded.
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// End of an answer.
    pub fn eos_id(&self) -> u32 {
        self.file.eos_id
    }

    /// Padding; the same id as the unknown token.
    pub fn pad_id(&self) -> u32 {
        self.file.unk_id
    }

    /// `[MASK]`.
    pub fn mask_id(&self) -> u32 {
        self.special(0)
    }

    /// `[gMASK]`.
    pub fn gmask_id(&self) -> u32 {
        self.special(1)
    }

    /// `[sMASK]`.
    pub fn smask_id(&self) -> u32 {
        self.special(2)
    }

    /// `sop`, start of piece.
    pub fn sop_id(&self) -> u32 {
        self.special(3)
    }

    /// `eop`, end of piece.
    pub fn eop_id(&self) -> u32 {
        self.special(4)
    }

    /// Most characters that one token can stand for.
    pub fn max_piece_chars(&self) -> usize {
        self.file.max_piece_chars
    }

    fn special(&self, index: u32) -> u32 {
        self.file.pieces.len() as u32 + index
    }

    fn piece(&self, id: u32) -> &Piece {
        self.file.pieces.get(id as usize).unwrap_or(&Piece::Silent)
    }
}
