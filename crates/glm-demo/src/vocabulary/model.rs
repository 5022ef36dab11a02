//! The file form of a SentencePiece model (`ModelProto`).

use prost::Message;
use sentencepiece_model::{ModelProto, ModelType, NormalizerSpec, SentencePiece, TrainerSpec, Type};

use super::bpe::{FIXED_PIECES, Pieces};

/// Serializes the pieces with the settings of ChatGLM2's vocabulary: identity normalisation, a blank before every text, no
/// removal of blanks, digits split, byte fallback.
pub(super) fn encode(pieces: &Pieces, max_chars: usize) -> Vec<u8> {
    let piece = |text: &str, score: f32, kind: Type| SentencePiece {
        piece: Some(text.to_owned()),
        score: Some(score),
        r#type: Some(kind as i32),
    };
    let mut all =
        vec![piece("<unk>", 0.0, Type::Unknown), piece("<s>", 0.0, Type::Control), piece("</s>", 0.0, Type::Control)];
    all.extend((0..=255u8).map(|byte| piece(&format!("<0x{byte:02X}>"), 0.0, Type::Byte)));
    debug_assert_eq!(all.len(), FIXED_PIECES);
    let learnt = pieces.merged.iter().cloned().chain(pieces.characters.iter().map(char::to_string));
    // An f32 holds these small whole numbers exactly.
    all.extend(learnt.enumerate().map(|(i, text)| piece(&text, -(i as f32), Type::Normal)));

    let trainer = TrainerSpec {
        model_type: Some(ModelType::Bpe as i32),
        vocab_size: i32::try_from(all.len()).ok(),
        character_coverage: Some(1.0),
        max_sentencepiece_length: i32::try_from(max_chars).ok(),
        split_digits: Some(true),
        hard_vocab_limit: Some(true),
        byte_fallback: Some(true),
        unk_id: Some(0),
        bos_id: Some(1),
        eos_id: Some(2),
        pad_id: Some(-1),
        ..TrainerSpec::default()
    };
    let normalizer = NormalizerSpec {
        name: Some("identity".to_owned()),
        precompiled_charsmap: Some(Vec::new()),
        add_dummy_prefix: Some(true),
        remove_extra_whitespaces: Some(false),
        ..NormalizerSpec::default()
    };
    let proto = ModelProto {
        pieces: all,
        trainer_spec: Some(trainer),
        normalizer_spec: Some(normalizer),
        ..ModelProto::default()
    };
    proto.encode_to_vec()
}
