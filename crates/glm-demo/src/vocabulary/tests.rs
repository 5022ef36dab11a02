use std::collections::HashSet;
use std::sync::OnceLock;

use kitoken::Kitoken;
use sentencepiece_model::{SentencePieceModel, Type};

use super::*;
use crate::corpus::{Split, adgen_rows, base_rows};

const PIECES: usize = 1_400;

fn demo_texts() -> &'static [String] {
    static TEXTS: OnceLock<Vec<String>> = OnceLock::new();
    TEXTS.get_or_init(|| texts_of(&base_rows(6_000, 1)))
}

fn demo_model() -> &'static [u8] {
    static MODEL: OnceLock<Vec<u8>> = OnceLock::new();
    MODEL.get_or_init(|| train(demo_texts(), PIECES).expect("enough text for this size"))
}

#[test]
fn form_is_that_of_the_fixture_vocabulary() {
    let ours = SentencePieceModel::from_slice(demo_model()).expect("a model");
    let file = glm_testkit::fixture("tiny-tokenizer/tokenizer.model");
    let theirs = SentencePieceModel::from_file(file).expect("the fixture");

    assert_eq!(ours.pieces().len(), PIECES);
    let fixed = 259;
    assert_eq!(ours.pieces()[..fixed], theirs.pieces()[..fixed]);
    assert_eq!(ours.model().normalizer_spec, theirs.model().normalizer_spec);
    for (i, piece) in ours.pieces()[fixed..].iter().enumerate() {
        assert_eq!((piece.score(), piece.r#type()), (-(i as f32), Type::Normal), "{}", piece.piece());
    }
    let (a, b) = (ours.trainer().expect("a trainer spec"), theirs.trainer().expect("a trainer spec"));
    assert_eq!(
        (a.model_type(), a.split_digits(), a.byte_fallback(), a.unk_id(), a.bos_id(), a.eos_id(), a.pad_id()),
        (b.model_type(), b.split_digits(), b.byte_fallback(), b.unk_id(), b.bos_id(), b.eos_id(), b.pad_id()),
    );
    let distinct: HashSet<&str> = ours.pieces().iter().map(|p| p.piece()).collect();
    assert_eq!(distinct.len(), PIECES);
}

#[test]
fn demo_text_round_trips_without_bytes() {
    let tokenizer = Kitoken::from_sentencepiece_slice(demo_model()).expect("a model");
    // Held-out rows and another seed: nothing in them may be new to the vocabulary.
    let mut texts = texts_of(&base_rows(2_000, 77));
    let (mut characters, mut tokens) = (0, 0);
    for row in adgen_rows(Split::Dev, 1_000, 77) {
        characters += row.summary.chars().count();
        tokens += tokenizer.encode(&row.summary, false).expect("a text").len();
        texts.extend([row.content, row.summary]);
    }
    for text in &texts {
        let ids = tokenizer.encode(text, false).expect("a text");
        assert!(ids.iter().all(|&id| (259..PIECES as u32).contains(&id)), "{text}: {ids:?}");
        let back = String::from_utf8(tokenizer.decode(&ids, false).expect("ids of this vocabulary")).expect("UTF-8");
        assert_eq!(back.trim_start_matches(' '), text);
    }
    assert!(characters as f64 >= 1.6 * tokens as f64, "{characters} characters in {tokens} tokens");
}

#[test]
fn other_text_falls_back_to_bytes_and_comes_back() {
    let tokenizer = Kitoken::from_sentencepiece_slice(demo_model()).expect("a model");
    let text = "问：龘 Zürich\n\n答：";
    let ids = tokenizer.encode(text, false).expect("a text");
    assert!(ids.iter().filter(|&&id| id == 3 + 0x0a).count() == 2, "a line end is one byte piece: {ids:?}");
    let back = String::from_utf8(tokenizer.decode(&ids, false).expect("ids of this vocabulary")).expect("UTF-8");
    assert_eq!(back.trim_start_matches(' '), text);
}

#[test]
fn training_repeats_and_refuses_impossible_sizes() {
    let texts = demo_texts();
    assert_eq!(train(texts, PIECES).as_deref(), Ok(demo_model()));
    let characters: HashSet<char> = texts.iter().flat_map(|t| t.chars()).collect();
    // The blank is a piece, too; the texts hold it in "[Round 1]".
    let needed = 259 + characters.len();
    assert_eq!(train(texts, 300), Err(VocabularyError::TooSmall { wanted: 300, needed }));
    assert!(matches!(train(texts, 100_000), Err(VocabularyError::TooLarge { wanted: 100_000, .. })));
    assert!(train(texts, needed).is_ok());
}

#[test]
fn pieces_keep_to_one_kind_of_character() {
    let texts: Vec<String> = std::iter::repeat_n("颜色#白色*颜色#白色 round 12 round 12".to_owned(), 5).collect();
    // 13 characters, and merges as long as pairs remain: 颜色 白色 ▁颜色 and parts of ▁round.
    let bytes = train(&texts, 259 + 13 + 6).expect("a size that these texts allow");
    let model = SentencePieceModel::from_slice(&bytes).expect("a model");
    let merged: Vec<&str> = model.pieces()[259..].iter().map(|p| p.piece()).filter(|p| p.chars().count() > 1).collect();
    assert_eq!(merged.len(), 6);
    assert!(["颜色", "白色", "▁颜色"].iter().all(|piece| merged.contains(piece)), "{merged:?}");
    assert!(merged.iter().all(|p| !p.contains(['#', '*', '1', '2'])), "{merged:?}");
}
