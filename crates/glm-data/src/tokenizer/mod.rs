//! SentencePiece vocabularies of the family, with ids and texts exactly as the official tokenizer classes give them.

mod bpe;
mod charsmap;
mod cleanup;
mod ice_text;
mod load;
mod model_file;
mod specials;
mod stream;
mod unigram;

pub use cleanup::clean_up;
pub use stream::StreamDecoder;

use bpe::Bpe;
use ice_text::IceText;
use model_file::{ModelFile, Piece};
use specials::Specials;

use crate::prompt::{Role, is_python_whitespace};
use crate::variant::Variant;

/// Text to ids and back. Cheap to share between threads, expensive to load (a tenth of a second).
#[derive(Debug)]
pub struct Tokenizer {
    encoder: Encoder,
    pieces: Vec<Piece>,
    specials: Specials,
    variant: Variant,
    /// Ids below the pieces: all others are larger by this number.
    image_tokens: u32,
    max_piece_chars: usize,
}

#[derive(Debug)]
enum Encoder {
    Bpe(Box<Bpe>),
    IceText(IceText),
}

impl Encoder {
    /// Ids as in the file.
    fn encode(&self, text: &str, specials: bool) -> Vec<u32> {
        match self {
            Self::Bpe(bpe) => bpe.encode(text),
            Self::IceText(ice_text) => ice_text.encode(text, specials),
        }
    }
}

impl Tokenizer {
    fn build(bytes: &[u8], variant: Variant, image_tokens: u32) -> Result<Self, String> {
        let mut file = ModelFile::parse(bytes, variant)?;
        let encoder = match variant {
            Variant::ChatGlm => Encoder::IceText(IceText::new(&mut file)?),
            Variant::ChatGlm2 | Variant::ChatGlm3 => Encoder::Bpe(Box::new(Bpe::new(bytes, &file)?)),
        };
        let specials = Specials::new(&mut file, variant)?;
        let ModelFile { pieces, max_piece_chars, .. } = file;
        Ok(Self { encoder, pieces, specials, variant, image_tokens, max_piece_chars })
    }

    /// Ids of `text` without special tokens. Texts that look like special tokens are ordinary characters.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.shifted(self.encoder.encode(text, false))
    }

    /// As [`encode`](Self::encode), but strings that name special tokens become them: as the official class does for
    /// ChatGLM-6B, and for ChatGLM3 when `encode_special_tokens` is set. ChatGLM2 never does. Not for texts of users.
    pub fn encode_with_specials(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let found = self.specials.split.iter().filter_map(|&(name, id)| Some((rest.find(name)?, name, id)));
            let Some((at, name, id)) = found.min() else {
                ids.extend(self.encoder.encode(rest, true));
                break;
            };
            // Transformers strips what stands beside a special token that it knows; ChatGLM3 looks for them itself.
            let strip = self.variant == Variant::ChatGlm;
            let (mut before, mut after) = (&rest[..at], &rest[at + name.len()..]);
            if strip {
                before = before.trim_end_matches(is_python_whitespace);
                after = after.trim_start_matches(is_python_whitespace);
            }
            ids.extend(self.encoder.encode(before, true));
            ids.push(id);
            rest = after;
        }
        self.shifted(ids)
    }

    /// `text` with the two special tokens of every prompt ([`prompt_specials`](Self::prompt_specials)): what the official
    /// tokenizer makes of a prompt. ChatGLM-6B has them behind the text, the others before it.
    pub fn encode_prompt(&self, text: &str) -> Vec<u32> {
        let (specials, text) = (self.prompt_specials(), self.encode(text));
        match self.variant {
            Variant::ChatGlm => [&text[..], &specials].concat(),
            Variant::ChatGlm2 | Variant::ChatGlm3 => [&specials, &text[..]].concat(),
        }
    }

    /// `[gMASK] sop`.
    pub fn prompt_specials(&self) -> [u32; 2] {
        [self.gmask_id(), self.sop_id()]
    }

    /// The text of `ids`. ChatGLM-6B and ChatGLM3 show special tokens as text, ChatGLM2 does not. Ids out of range have no
    /// text (the official classes raise), and each byte that is part of no character becomes U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.stream().decode(ids)
    }

    /// As [`decode`](Self::decode), leaving out special tokens: `skip_special_tokens` of the official classes, which has an
    /// effect for ChatGLM-6B only and there spares `[gMASK]`.
    pub fn decode_skipping_specials(&self, ids: &[u32]) -> String {
        self.stream_skipping_specials().decode(ids)
    }

    /// A decoder that takes ids one by one.
    pub fn stream(&self) -> StreamDecoder<'_> {
        StreamDecoder::new(self, false)
    }

    /// As [`stream`](Self::stream), leaving out what [`decode_skipping_specials`](Self::decode_skipping_specials) does.
    pub fn stream_skipping_specials(&self) -> StreamDecoder<'_> {
        StreamDecoder::new(self, true)
    }

    /// Number of ids: image tokens, pieces of the file and special tokens after them. The embedding of a model may have
    /// more rows.
    pub fn vocab_size(&self) -> usize {
        self.image_tokens as usize + self.pieces.len()
    }

    /// Number of ids below the text tokens, 20000 in old ChatGLM-6B folders, otherwise 0.
    pub fn image_tokens(&self) -> u32 {
        self.image_tokens
    }

    /// The variant for which the vocabulary was loaded.
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// What ends an answer in training.
    pub fn eos_id(&self) -> u32 {
        self.image_tokens + self.specials.eos[0]
    }

    /// All that end an answer in generation, [`eos_id`](Self::eos_id) first. For ChatGLM3 also the headers of the messages
    /// that others write: `<|user|>` and `<|observation|>`.
    pub fn eos_ids(&self) -> Vec<u32> {
        self.shifted(self.specials.eos.clone())
    }

    /// Padding; for ChatGLM2 and 3 the same id as the unknown token.
    pub fn pad_id(&self) -> u32 {
        self.image_tokens + self.specials.pad
    }

    /// `[MASK]`.
    pub fn mask_id(&self) -> u32 {
        self.image_tokens + self.specials.mask
    }

    /// `[gMASK]`.
    pub fn gmask_id(&self) -> u32 {
        self.image_tokens + self.specials.gmask
    }

    /// `[sMASK]`.
    pub fn smask_id(&self) -> u32 {
        self.image_tokens + self.specials.smask
    }

    /// `sop`, start of piece.
    pub fn sop_id(&self) -> u32 {
        self.image_tokens + self.specials.sop
    }

    /// `eop`, end of piece.
    pub fn eop_id(&self) -> u32 {
        self.image_tokens + self.specials.eop
    }

    /// The token that starts a message of `role`; only ChatGLM3 has them.
    pub fn role_id(&self, role: Role) -> Option<u32> {
        self.specials.roles.map(|ids| ids[role as usize])
    }

    /// Most characters that one token can stand for. (ChatGLM-6B's normalisation may drop some characters besides.)
    pub fn max_piece_chars(&self) -> usize {
        self.max_piece_chars
    }

    fn shifted(&self, mut ids: Vec<u32>) -> Vec<u32> {
        ids.iter_mut().for_each(|id| *id += self.image_tokens);
        ids
    }

    /// What an id decodes to; nothing for image tokens and ids out of range.
    /// What one token adds to a text, which may be part of a character; nothing for special tokens.
    pub fn token_bytes(&self, id: u32) -> Vec<u8> {
        match self.piece(id) {
            Piece::Byte(byte) => vec![*byte],
            Piece::Text { text, .. } => text.as_bytes().to_vec(),
            Piece::Silent => Vec::new(),
        }
    }

    fn piece(&self, id: u32) -> &Piece {
        let index = id.checked_sub(self.image_tokens).map(|index| index as usize);
        index.and_then(|index| self.pieces.get(index)).unwrap_or(&Piece::Silent)
    }
}
