//! Special tokens of each variant and their ids.

use super::model_file::{ModelFile, Piece};
use crate::variant::Variant;

/// Special pieces inside `ice_text.model`.
pub(super) const CHATGLM: [&str; 8] =
    ["[MASK]", "[gMASK]", "[sMASK]", "<unused_0>", "<sop>", "<eop>", "<ENC>", "<dBLOCK>"];
/// Special tokens that follow the pieces of `tokenizer.model`.
const CHATGLM2: [&str; 5] = ["[MASK]", "[gMASK]", "[sMASK]", "sop", "eop"];
/// Special tokens that ChatGLM3 has after those: the headers of its messages, in the order of
/// [`Role::ALL`](crate::prompt::Role::ALL).
pub(super) const ROLES: [&str; 4] = ["<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"];

/// Ids of the special tokens.
#[derive(Debug)]
pub(super) struct Specials {
    pub(super) mask: u32,
    pub(super) gmask: u32,
    pub(super) smask: u32,
    pub(super) sop: u32,
    pub(super) eop: u32,
    pub(super) pad: u32,
    /// ChatGLM3's role headers.
    pub(super) roles: Option<[u32; 4]>,
    /// What ends an answer; the first is the one that training puts there.
    pub(super) eos: Vec<u32>,
    /// Ids without text where special tokens are left out.
    pub(super) skipped: Vec<u32>,
    /// Strings that [`encode_with_specials`](super::Tokenizer::encode_with_specials) cuts out of a text before it is
    /// encoded.
    pub(super) split: Vec<(&'static str, u32)>,
}

impl Specials {
    /// Finds the special tokens of `variant`, adding those that the file itself does not hold. Ids are those of the file:
    /// without image tokens.
    pub(super) fn new(file: &mut ModelFile, variant: Variant) -> Result<Self, String> {
        match variant {
            Variant::ChatGlm => Self::inside(file),
            Variant::ChatGlm2 => Ok(Self::after(file, false)),
            Variant::ChatGlm3 => Ok(Self::after(file, true)),
        }
    }

    /// ChatGLM-6B: pieces of the file.
    fn inside(file: &mut ModelFile) -> Result<Self, String> {
        let id = |name: &str| file.id_of(name);
        let (mask, sop, eop, unk, pad) = (id("[MASK]")?, id("<sop>")?, id("<eop>")?, file.unk_id, id("<pad>")?);
        let (gmask, smask) = (id("[gMASK]")?, id("[sMASK]")?);
        // Of the special pieces only these are registered as such with the official tokenizer.
        let split = vec![("<sop>", sop), ("<eop>", eop), ("<unk>", unk), ("<pad>", pad), ("[MASK]", mask)];
        let skipped = split.iter().map(|&(_, id)| id).collect();
        let surface = file.model.trainer().map_or(" \u{2047} ", |t| t.unk_surface());
        file.pieces[unk as usize] = Piece::literal(surface);
        Ok(Self { mask, gmask, smask, sop, eop, pad, roles: None, eos: vec![eop], skipped, split })
    }

    /// ChatGLM2 and 3: ids after the pieces, which ChatGLM3 shows as text and ChatGLM2 does not.
    fn after(file: &mut ModelFile, roles: bool) -> Self {
        let first = file.pieces.len() as u32;
        let [mask, gmask, smask, sop, eop] = std::array::from_fn(|i| first + i as u32);
        let mut eos = vec![file.eos_id];
        let (mut split, mut role_ids) = (Vec::new(), None);
        if roles {
            let ids: [u32; 4] = std::array::from_fn(|i| eop + 1 + i as u32);
            let [_, user, _, observation] = ids;
            eos.extend([user, observation]);
            split.extend(ROLES.into_iter().zip(ids));
            role_ids = Some(ids);
            file.pieces.extend(CHATGLM2.into_iter().chain(ROLES).map(Piece::literal));
        } else {
            file.pieces.resize(file.pieces.len() + CHATGLM2.len(), Piece::Silent);
        }
        Self { mask, gmask, smask, sop, eop, pad: file.unk_id, roles: role_ids, eos, skipped: Vec::new(), split }
    }
}
