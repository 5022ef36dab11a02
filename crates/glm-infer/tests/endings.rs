//! What ends an answer besides end tokens: stop strings and repetitions, with one beam and with several.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use glm_data::{Tokenizer, Variant};
use glm_infer::decode::{RepetitionRule, certain_len, find_stop};
use glm_infer::{Answer, Engine, Finish, GenerationConfig, InferError, Request, SpecialIds};
use glm_model::adapter::AdapterSlots;
use glm_model::{LoadOptions, Network};
use glm_testkit::{fixture, write_random_base};
use proptest::prelude::*;
use support::{generate, greedy};

struct Room {
    tokenizer: Tokenizer,
    network: Network,
}

fn room() -> Room {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = Tokenizer::from_file(&fixture("tiny-tokenizer/tokenizer.model"), Variant::ChatGlm2).unwrap();
    write_random_base(folder.path(), tokenizer.vocab_size(), 11);
    let network = Network::load(folder.path(), LoadOptions::default(), &mut |_, _| {}).unwrap();
    Room { tokenizer, network }
}

impl Room {
    fn answers(&self, config: &GenerationConfig) -> Vec<Answer> {
        let prefixes = AdapterSlots::default();
        let engine =
            Engine::new(&self.network, &prefixes, SpecialIds::of(&self.tokenizer)).with_tokenizer(&self.tokenizer);
        let prompts = ["类型#裙", "颜色#白*风格#简约", "裙"];
        let requests: Vec<Request> =
            prompts.iter().map(|text| Request::new(self.tokenizer.encode_prompt(text), None, config)).collect();
        generate(&engine, &requests, config)
    }
}

/// Texts of two to four characters of `text` at some places.
fn parts(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let part = |(place, len): (usize, usize)| chars.get(place..place + len).map(|part| part.iter().collect());
    (0..chars.len()).step_by(3).zip([2, 3, 4].into_iter().cycle()).filter_map(part).collect()
}

#[test]
fn an_answer_ends_before_the_first_stop_string() {
    let room = room();
    let plain = room.answers(&greedy(24));
    let (mut stopped, mut inside) = (0, 0);
    for stop in plain.iter().flat_map(|answer| parts(&answer.decode(&room.tokenizer))) {
        let config = GenerationConfig { stop: vec!["never in it".into(), stop.clone()], ..greedy(24) };
        for (answer, plain) in room.answers(&config).iter().zip(&plain) {
            let text = plain.decode(&room.tokenizer);
            // The stream of ids gives no text for an unfinished character at the end.
            let Some(start) = text.find(&stop) else {
                assert_eq!(answer, plain, "{stop:?}");
                continue;
            };
            assert_eq!(answer.finish, Finish::Stop, "{stop:?} in {text:?}");
            assert_eq!(answer.decode(&room.tokenizer), text[..start], "{stop:?}");
            assert_eq!(answer.text.as_deref(), Some(&text[..start]));
            assert_eq!(answer.tokens, plain.tokens[..answer.tokens.len()]);
            assert_eq!(answer.content(), answer.tokens);
            let whole = room.tokenizer.decode(&answer.tokens);
            assert!(text[..start].starts_with(&whole), "{stop:?}: {whole:?} holds a part of it");
            let next = room.tokenizer.decode(&plain.tokens[..answer.tokens.len() + 1]);
            stopped += 1;
            inside += usize::from(next.len() > start && whole.len() < start);
        }
    }
    assert!(stopped > 5 && inside > 0, "{stopped} answers stopped, {inside} within a token");
}

#[test]
fn stop_strings_end_answers_of_beam_search() {
    let room = room();
    let config = GenerationConfig { num_beams: 3, num_return_sequences: 3, ..greedy(16) };
    let plain = room.answers(&config);
    let mut stopped = 0;
    for stop in parts(&plain[0].decode(&room.tokenizer)) {
        let config = GenerationConfig { stop: vec![stop.clone()], ..config.clone() };
        for answer in room.answers(&config).iter().flat_map(|answer| std::iter::once(answer).chain(&answer.others)) {
            assert!(!answer.decode(&room.tokenizer).contains(&stop), "{stop:?}");
            assert_eq!(answer.finish == Finish::Stop, answer.text.is_some());
            stopped += usize::from(answer.finish == Finish::Stop);
        }
    }
    assert!(stopped > 0, "no answer was stopped");
}

#[test]
fn stop_strings_need_a_vocabulary_and_a_text() {
    let room = room();
    let prefixes = AdapterSlots::default();
    let engine = Engine::new(&room.network, &prefixes, SpecialIds::of(&room.tokenizer));
    let config = GenerationConfig { stop: vec!["。".into()], ..greedy(4) };
    let admit = |engine: &Engine<'_>, config: &GenerationConfig| {
        engine.start().admit(0, &Request::new(vec![3, 4, 5], None, config), config)
    };
    assert!(matches!(admit(&engine, &config), Err(InferError::NoTokenizer)));
    let engine = engine.with_tokenizer(&room.tokenizer);
    assert!(admit(&engine, &config).is_ok());
    let empty = GenerationConfig { stop: vec![String::new()], ..config };
    assert!(matches!(admit(&engine, &empty), Err(InferError::Settings(_))));
}

#[test]
fn an_answer_that_repeats_itself_ends_when_the_rule_says_so() {
    let room = room();
    // The smallest repetitions occur in any answer of a random network.
    let rule = RepetitionRule { times: 2, max_period: 16, min_tokens: 0 };
    let mut ended = 0;
    let plain = room.answers(&greedy(64));
    for (answer, plain) in room.answers(&GenerationConfig { repetition: Some(rule), ..greedy(64) }).iter().zip(&plain) {
        let end = (1..=plain.tokens.len()).find(|n| rule.applies(&plain.tokens[..*n]));
        match end {
            Some(end) => {
                assert_eq!(answer.finish, Finish::Repetition);
                assert_eq!(answer.tokens, plain.tokens[..end]);
                assert_eq!(answer.content(), answer.tokens);
                ended += 1;
            }
            None => assert_eq!(answer, plain),
        }
    }
    assert!(ended > 0, "no answer repeats itself: choose another seed");

    let config = GenerationConfig { num_beams: 3, num_return_sequences: 3, repetition: Some(rule), ..greedy(32) };
    for answer in room.answers(&config).iter().flat_map(|answer| std::iter::once(answer).chain(&answer.others)) {
        let first = (1..=answer.tokens.len()).find(|n| rule.applies(&answer.tokens[..*n]));
        let expected = (answer.finish == Finish::Repetition).then_some(answer.tokens.len());
        assert_eq!(first, expected, "beams end where the rule says so, and only there");
    }
}

#[test]
fn of_several_stop_strings_the_one_that_is_complete_first_counts() {
    let stops = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(find_stop("xabcd", 0, &stops(&["abcd", "bc"])), Some(2));
    assert_eq!(find_stop("xabc", 0, &stops(&["bc", "abc"])), Some(1), "of those that end together, the longest");
    assert_eq!(find_stop("白裙子", 3, &stops(&["裙"])), Some(3));
    assert_eq!(find_stop("白裙", 3, &stops(&["白裙"])), Some(0));
    assert_eq!(find_stop("白裙", 0, &stops(&["子", ""])), None);
    assert_eq!(certain_len("白裙", &stops(&["裙子"])), 3);
    assert_eq!(certain_len("aab", &stops(&["abab", "b?"])), 1);
    assert_eq!(certain_len("ab", &stops(&["x"])), 2);
}

proptest! {
    #[test]
    fn how_a_text_is_cut_into_tokens_changes_nothing(
        text in "[ab白]{0,24}",
        stops in prop::collection::vec("[ab白]{1,4}", 1..4),
        cuts in prop::collection::btree_set(0usize..24, 0..8),
    ) {
        let ends = |cuts: &mut dyn Iterator<Item = usize>| {
            let places: Vec<usize> = text.char_indices().map(|(place, _)| place).chain([text.len()]).collect();
            let (mut known, mut certain) = (0, 0);
            for end in cuts.filter_map(|n| places.get(n).copied()).chain([text.len()]) {
                let found = find_stop(&text[..end], known, &stops);
                if let Some(start) = found {
                    assert!(certain <= start, "a part of the stop string was certain");
                    return Some(start);
                }
                known = end;
                certain = certain_len(&text[..end], &stops);
            }
            None
        };
        let whole = ends(&mut std::iter::empty());
        prop_assert_eq!(ends(&mut cuts.iter().copied()), whole);
        prop_assert_eq!(ends(&mut (1..24)), whole);
        prop_assert_eq!(whole.is_some(), stops.iter().any(|stop| text.contains(stop.as_str())));
    }
}
