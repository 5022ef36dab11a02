//! Ids and texts against the official tokenizer class.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod common;

use common::{cases, chatglm, chatglm3, encode_cases, ids, list, optional, text};
use glm_data::prompt::Role;
use glm_data::{StreamDecoder, Tokenizer, Variant};
use glm_testkit::{fixture, json};
use proptest::prelude::*;
use serde_json::Value;

fn streamed(mut stream: StreamDecoder<'_>, ids: &[u32]) -> String {
    let mut text: String = ids.iter().map(|&id| stream.push(id)).collect();
    text.push_str(&stream.finish());
    text
}

/// Whether `text` names a token that ChatGLM-6B's official class finds in a text.
fn names_a_symbol(text: &str, golden: &Value) -> bool {
    let names = golden["special_ids"].as_object();
    names.is_some_and(|names| text.contains("<|blank_") || names.keys().any(|name| text.contains(name)))
}

fn check_decoding(tokenizer: &Tokenizer, entry: &Value, ids: &[u32], key: &str, skip_key: &str) {
    let expected = text(&entry[key]);
    assert_eq!(tokenizer.decode(ids), expected, "{key} of {ids:?}");
    assert_eq!(streamed(tokenizer.stream(), ids), expected, "streamed {key} of {ids:?}");
    if let Some(expected) = entry[skip_key].as_str() {
        assert_eq!(tokenizer.decode_skipping_specials(ids), expected, "{skip_key} of {ids:?}");
        assert_eq!(streamed(tokenizer.stream_skipping_specials(), ids), expected, "streamed {skip_key} of {ids:?}");
    }
}

fn check_strings(tokenizer: &Tokenizer, golden: &Value) {
    for entry in list(golden, "strings") {
        let string = text(&entry["text"]);
        let plain = ids(&entry["ids"]);
        let special = ids(&entry["ids_special"]);
        if tokenizer.variant() == Variant::ChatGlm {
            assert_eq!(tokenizer.encode_with_specials(string), plain, "{string:?}");
        }
        // In our default mode the names of special tokens are ordinary characters.
        if !names_a_symbol(string, golden) {
            assert_eq!(tokenizer.encode(string), plain, "{string:?}");
            assert_eq!(tokenizer.encode_prompt(string), special, "{string:?}");
        }
        check_decoding(tokenizer, entry, &plain, "decode", "decode_skip");
        check_decoding(tokenizer, entry, &special, "decode_special", "decode_special_skip");
    }
}

#[test]
fn every_golden_string_encodes_and_decodes_the_same() {
    for (path, tokenizer) in encode_cases() {
        let golden = json(&path);
        check_strings(&tokenizer, &golden);
        for entry in list(&golden, "decode_only") {
            check_decoding(&tokenizer, entry, &ids(&entry["ids"]), "decode", "decode_skip");
        }
        let adgen = format!("{}/encode-adgen.json", path.split('/').next().unwrap());
        if tokenizer.image_tokens() == 0
            && let Some(golden) = optional(&adgen)
        {
            check_strings(&tokenizer, &golden);
        }
    }
}

#[test]
fn role_tokens_in_text_when_they_are_asked_for() {
    let Some(tokenizer) = chatglm3() else { return };
    for entry in list(&json("glm3-tokenizer/encode.json"), "strings_encode_special_tokens") {
        let (string, plain) = (text(&entry["text"]), ids(&entry["ids"]));
        assert_eq!(tokenizer.encode_with_specials(string), plain, "{string:?}");
        let prompt = [&tokenizer.prompt_specials(), &plain[..]].concat();
        assert_eq!(prompt, ids(&entry["ids_special"]), "{string:?}");
        check_decoding(&tokenizer, entry, &plain, "decode", "decode_skip");
        check_decoding(&tokenizer, entry, &prompt, "decode_special", "decode_special_skip");
    }
}

#[test]
fn special_ids_are_the_official_ones() {
    for (path, tokenizer) in encode_cases() {
        let golden = json(&path);
        let info = &golden["info"];
        assert_eq!(tokenizer.vocab_size() as u64, info["vocab_size"], "{path}");
        assert_eq!(u64::from(tokenizer.pad_id()), info["pad_token_id"], "{path}");
        assert_eq!(u64::from(tokenizer.eos_id()), info["eos_token_id"], "{path}");
        assert_eq!(tokenizer.eos_ids()[0], tokenizer.eos_id());
        let specials =
            [tokenizer.mask_id(), tokenizer.gmask_id(), tokenizer.smask_id(), tokenizer.sop_id(), tokenizer.eop_id()];
        let last = tokenizer.vocab_size() as u32 - 1;
        match tokenizer.variant() {
            Variant::ChatGlm => {
                let names = ["[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>"];
                assert_eq!(specials.map(u64::from), names.map(|name| golden["special_ids"][name].as_u64().unwrap()));
                assert_eq!(tokenizer.eos_ids(), [tokenizer.eop_id()]);
            }
            Variant::ChatGlm2 => {
                assert_eq!(specials, [last - 4, last - 3, last - 2, last - 1, last], "{path}");
                assert_eq!(tokenizer.eos_ids().len(), 1);
            }
            Variant::ChatGlm3 => {
                assert_eq!(specials, [last - 8, last - 7, last - 6, last - 5, last - 4], "{path}");
                let roles = Role::ALL.map(|role| tokenizer.role_id(role).unwrap());
                assert_eq!(roles, [last - 3, last - 2, last - 1, last]);
                assert_eq!(tokenizer.eos_ids()[1..], [last - 2, last]);
                assert_eq!(tokenizer.decode(&roles[1..2]), "<|user|>");
            }
        }
        // Rows of the embedding beyond the vocabulary have no text.
        assert_eq!(tokenizer.decode(&[last + 1, u32::MAX]), "");
    }
}

#[test]
fn special_tokens_in_text_are_ordinary_characters() {
    for (folder, tokenizer) in cases() {
        let control = [tokenizer.pad_id(), 1, tokenizer.eos_id()];
        for text in
            ["[MASK]", "[gMASK]", "[sMASK]", "sop", "eop", "<s>", "</s>", "<unk>", "<pad>", " ⁇ ", "⁇", "<0x41>"]
        {
            let text = format!("甲{text}乙");
            let ids = tokenizer.encode(&text);
            let below_specials = ids.iter().all(|&id| id < tokenizer.mask_id() && !control.contains(&id));
            assert!(below_specials, "{folder}: {text:?} became {ids:?}");
            assert_eq!(tokenizer.decode(&ids), text);
        }
    }
}

#[test]
fn names_of_chatglm_tokens_in_text_are_ordinary_characters_unless_asked_for() {
    let tokenizer = chatglm(7);
    let golden = json("glm1-tokenizer/encode_image0.json");
    let symbols = golden["special_ids"].as_object().unwrap();
    for (name, id) in symbols {
        let text = format!("甲{name}乙");
        let plain = tokenizer.encode(&text);
        let id = 7 + u32::try_from(id.as_u64().unwrap()).unwrap();
        assert!(!plain.contains(&id), "{name} in {plain:?}");
        // Whatever the characters are in, they come back as they were.
        assert_eq!(tokenizer.decode(&plain), text);
        let registered = ["<sop>", "<eop>", "<unk>", "<pad>", "[MASK]"].contains(&&**name);
        let recognised = registered || !["<s>", "</s>"].contains(&&**name);
        assert_eq!(tokenizer.encode_with_specials(&text).contains(&id), recognised, "{name}");
    }
    // Whitespace has its tokens in both modes.
    assert_eq!(tokenizer.encode("甲\n\t   乙"), tokenizer.encode_with_specials("甲<n><|tab|><|blank_3|>乙"));
}

#[test]
fn a_folder_tells_its_number_of_image_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let load = |variant, rows| Tokenizer::from_folder(dir.path(), variant, rows);
    let config = |text: &str| std::fs::write(dir.path().join("tokenizer_config.json"), text).unwrap();
    let message = |rows| load(Variant::ChatGlm, rows).unwrap_err().to_string();
    assert!(message(None).contains("ice_text.model, which is not in this folder"), "{}", message(None));

    std::fs::copy(fixture("glm1-tokenizer/ice_text.model"), dir.path().join("ice_text.model")).unwrap();
    let pieces = chatglm(0).vocab_size();
    let wrong = load(Variant::ChatGlm2, None).unwrap_err().to_string();
    assert!(wrong.contains("needs tokenizer.model") && wrong.contains("there is ice_text.model"), "{wrong}");
    assert!(message(None).contains("num_image_tokens"), "{}", message(None));
    // The rows of the embedding tell it where no file does.
    for (rows, image_tokens) in
        [(pieces, 0), (pieces + 19_999, 0), (pieces + 20_000, 20_000), (pieces + 20_184, 20_000)]
    {
        assert_eq!(load(Variant::ChatGlm, Some(rows)).unwrap().image_tokens(), image_tokens);
    }
    assert!(message(Some(pieces - 1)).contains("do not belong together"));
    config(r#"{"num_image_tokens": 20000, "do_lower_case": false}"#);
    let tokenizer = load(Variant::ChatGlm, None).unwrap();
    assert_eq!((tokenizer.image_tokens(), tokenizer.vocab_size()), (20_000, pieces + 20_000));
    assert!(message(Some(pieces + 184)).contains("num_image_tokens"));
    config(r#"{"num_image_tokens": 0}"#);
    assert_eq!(load(Variant::ChatGlm, Some(pieces + 30_000)).unwrap().image_tokens(), 0);
    for bad in [r#"{"num_image_tokens": 4294967295}"#, r#"{"do_lower_case": true}"#, r#"{"num_image_tokens": -1}"#, "{"]
    {
        config(bad);
        assert!(message(None).contains("tokenizer_config.json"), "{}", message(None));
    }
}

#[test]
fn broken_and_foreign_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let good = std::fs::read(fixture("tiny-tokenizer/tokenizer.model")).unwrap();
    let file = dir.path().join("tokenizer.model");
    let mut cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "trainer settings"),
        (b"version https://git-lfs.github.com/spec/v1\n".to_vec(), ""),
        (good[..good.len() / 2].to_vec(), ""),
        (json("tiny-tokenizer/tokenizer_config.json").to_string().into_bytes(), ""),
    ];
    let unigram = fixture("glm1-tokenizer/ice_text.model");
    if unigram.exists() {
        cases.push((std::fs::read(unigram).unwrap(), "Unigram"));
    }
    for (bytes, expected) in cases {
        std::fs::write(&file, bytes).unwrap();
        let message = Tokenizer::from_file(&file, Variant::ChatGlm2).unwrap_err().to_string();
        assert!(message.contains("tokenizer.model: not a usable tokenizer") && message.contains(expected), "{message}");
    }
    let absent = Tokenizer::from_file(&dir.path().join("absent"), Variant::ChatGlm2).unwrap_err().to_string();
    assert!(absent.contains("absent: cannot be read"), "{absent}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_models_never_panic(position in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<bool>()) {
        let files = [("tiny-tokenizer/tokenizer.model", Variant::ChatGlm3), ("glm1-tokenizer/ice_text.model", Variant::ChatGlm)];
        for (file, variant) in files {
            let mut bytes = std::fs::read(fixture(file)).unwrap();
            let at = position.index(bytes.len());
            bytes[at] = value;
            if cut {
                bytes.truncate(at);
            }
            if let Ok(tokenizer) = Tokenizer::from_bytes(&bytes, variant) {
                let text = "今天 hello 123 [gMASK] ガ½ﷺ　。\n\t  \u{10ffff}<sop>";
                tokenizer.decode(&tokenizer.encode(text));
                tokenizer.decode(&tokenizer.encode_with_specials(text));
            }
        }
    }
}

#[test]
fn random_texts_come_back_and_random_ids_stream_as_they_decode() {
    for (_, tokenizer) in cases() {
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 300,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        // U+2581 stands for a blank inside the vocabulary and comes back as one.
        runner
            .run(&"[^\u{2581}]{0,80}|[ \n\t一-龥a-z0-9，。！#*]{0,200}", |text| {
                prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text)), text);
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn random_texts_come_back_from_chatglm() {
    let tokenizer = chatglm(0);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    // What the normalisation leaves alone; single blanks at the ends are lost, and some before punctuation.
    runner
        .run(&"[a-z一-龥]?([\n\t一-龥a-z0-9。#*<>\\[\\]|]|  {1,79}[a-z]){0,100}", |text| {
            prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text)), text);
            Ok(())
        })
        .unwrap();
    // Whatever the text, no special token comes out of it.
    let specials = [tokenizer.mask_id(), tokenizer.gmask_id(), tokenizer.sop_id(), tokenizer.eop_id(), 0, 1, 2, 3];
    runner
        .run(&"(\\PC|[ \n\t]|\\[MASK\\]|\\[gMASK\\]|<sop>|<eop>|<pad>|<unk>|</s>){0,60}", |text| {
            prop_assert!(tokenizer.encode(&text).iter().all(|id| !specials.contains(id)));
            Ok(())
        })
        .unwrap();
}

#[test]
fn random_ids_stream_as_they_decode() {
    for (_, tokenizer) in encode_cases() {
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 300,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        // A third of the draws are bytes, to make broken and whole UTF-8 sequences likely.
        let size = tokenizer.vocab_size() as u32;
        let id = prop_oneof![0..260u32, size.saturating_sub(260)..size, 0..size + 3];
        runner
            .run(&prop::collection::vec(id, 0..60), |ids| {
                let whole = tokenizer.decode(&ids);
                prop_assert_eq!(streamed(tokenizer.stream(), &ids), &*whole);
                // What a stream has given is never taken back.
                let mut stream = tokenizer.stream();
                let mut shown = String::new();
                for &id in &ids {
                    shown.push_str(&stream.push(id));
                    prop_assert!(whole.starts_with(&shown));
                }
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn a_stream_gives_each_character_as_soon_as_it_is_whole() {
    let (_, tokenizer) = &cases()[0];
    // The last code point is in no vocabulary, so four byte pieces after the dummy blank.
    let ids = tokenizer.encode("\u{10ffff}");
    let mut stream = tokenizer.stream();
    let parts: Vec<String> = ids.iter().map(|&id| stream.push(id)).collect();
    assert_eq!(parts.last().unwrap(), "\u{10ffff}");
    assert!(parts[..parts.len() - 1].iter().all(String::is_empty), "{parts:?}");
    assert_eq!(stream.finish(), "");
    // The same stream can be used for the next answer.
    assert_eq!(ids[..ids.len() - 1].iter().map(|&id| stream.push(id)).collect::<String>(), "");
    assert_eq!(stream.finish(), "\u{fffd}".repeat(3));
}
