//! Encoding with the BPE vocabulary of ChatGLM2 and ChatGLM3.

use kitoken::convert::convert_sentencepiece;
use kitoken::{Fallback, Kitoken, Processing, SpecialTokenKind};

use super::model_file::{BLANK, ModelFile};

/// The BPE encoder.
#[derive(Debug)]
pub(super) struct Bpe(Kitoken);

impl Bpe {
    /// `bytes` is the content of the checked `file`.
    pub(super) fn new(bytes: &[u8], file: &ModelFile) -> Result<Self, String> {
        // The encoder splits the text before runs of blanks, so it could never emit such a piece.
        if let Some((id, text)) = file.texts().enumerate().find(|(_, t)| t.trim_start_matches(BLANK).contains(BLANK)) {
            return Err(format!("piece {id} ({text:?}) has a blank inside; such vocabularies are not supported"));
        }
        let mut definition = convert_sentencepiece(bytes).map_err(|e| e.to_string())?;
        // Whatever the file says, encoding must not be able to fail.
        if !definition.config.fallback.contains(&Fallback::Skip) {
            definition.config.fallback.push(Fallback::Skip);
        }
        // A run of unknown characters is one token. The official file has byte fallback and so knows every character.
        definition.config.processing.push(Processing::Collapse { id: file.unk_id });
        Kitoken::from_definition(definition).map(Self).map_err(|e| e.to_string())
    }

    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        self.0
            .encode(text, [SpecialTokenKind::Priority].as_slice())
            .expect("the fallback list ends with Skip, which accepts every piece")
    }
}
