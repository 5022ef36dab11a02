//! Scores and segmentation against the values of the Python packages (jieba 0.42.1, rouge_chinese 1.0.3, nltk).

use glm_infer::metric::{PairScore, Scorer, Summary};
use glm_testkit::{fixture, json};
use serde_json::Value;

/// Files of one form; the second is not shipped.
const FILES: [&str; 2] = ["metrics/metrics-own.json", "metrics/metrics.json"];

fn goldens() -> Vec<Value> {
    let (present, absent): (Vec<_>, Vec<_>) = FILES.into_iter().partition(|file| fixture(file).exists());
    for file in absent {
        eprintln!("skipped: {} is absent", fixture(file).display());
    }
    assert!(!present.is_empty(), "no metrics file among the fixtures");
    present.into_iter().map(json).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is not a text in {value}"))
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} is not a number in {value}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("{key} is not a list in {value}"))
}

fn assert_summary(found: &Summary, expected: &Value) {
    for (name, value) in found.entries("x") {
        let golden = number(expected, name.trim_start_matches("x_"));
        assert!((value - golden).abs() < 1e-9, "{name}: {value}, expected {golden}");
    }
}

#[test]
fn every_pair_scores_as_the_official_script() {
    let scorer = Scorer::new();
    for golden in goldens() {
        let pairs = list(&golden, "pairs");
        assert_eq!(pairs.len() as u64, golden["count"].as_u64().expect("count"));
        let mut scores = Vec::new();
        for pair in pairs {
            let found = scorer.score_pair(text(pair, "prediction"), text(pair, "reference"));
            let expected = PairScore {
                rouge_1: number(pair, "rouge-1"),
                rouge_2: number(pair, "rouge-2"),
                rouge_l: number(pair, "rouge-l"),
                bleu_4: number(pair, "bleu-4"),
                empty: false,
            };
            assert_eq!(found, expected, "{pair}");
            scores.push(found);
        }
        assert_summary(&Summary::of(&scores).expect("there are pairs"), &golden["mean"]);
    }
}

#[test]
fn words_are_those_of_jieba() {
    let scorer = Scorer::new();
    for golden in goldens() {
        for pair in list(&golden, "pairs") {
            for side in ["prediction", "reference"] {
                let expected: Vec<&str> =
                    list(pair, &format!("{side}_tokens")).iter().filter_map(Value::as_str).collect();
                assert_eq!(scorer.segment(text(pair, side)), expected);
            }
        }
    }
}

#[test]
fn decoded_answers_score_as_the_official_script() {
    let scorer = Scorer::new();
    for golden in goldens() {
        let answers = &golden["from_ids"];
        let scores: Vec<PairScore> = list(answers, "decoded_predictions")
            .iter()
            .zip(list(answers, "decoded_labels"))
            .map(|(prediction, label)| {
                scorer.score_pair(prediction.as_str().expect("text"), label.as_str().expect("text"))
            })
            .collect();
        assert_summary(&Summary::of(&scores).expect("there are answers"), &answers["result"]);
    }
}

#[test]
fn what_crashes_the_official_script_scores_zero_and_is_counted() {
    let scorer = Scorer::new();
    for golden in goldens() {
        let crashes = list(&golden, "crashes");
        let mut scores: Vec<PairScore> =
            crashes.iter().map(|pair| scorer.score_pair(text(pair, "prediction"), text(pair, "reference"))).collect();
        for score in &scores {
            assert_eq!(*score, PairScore { empty: true, ..PairScore::default() });
        }
        scores.push(scorer.score_pair("好天气", "好天气"));
        let summary = Summary::of(&scores).expect("there are pairs");
        assert_eq!((summary.pairs, summary.empty), (crashes.len() + 1, crashes.len()));
        assert!((summary.rouge_1 - 100.0 / scores.len() as f64).abs() < 1e-4);
    }
    assert_eq!(Summary::of(&[]), None);
}

#[test]
fn segmentation_of_unusual_characters_is_that_of_jieba() {
    let scorer = Scorer::new();
    // Expected values: list(jieba.cut(text)), jieba 0.42.1.
    for (text, expected) in [
        ("v1.2.3-rc_1 是3.5%a", "v1.2/./3/-/rc/_/1/ /是/3.5%/a"),
        ("a.b", "a/./b"),
        ("㐀鿿好", "㐀/鿿/好"),
        ("一\r\n\n二\u{3000}三", "一/\r\n/\n/二/\u{3000}/三"),
        ("C++和c#的T恤", "C++/和/c#/的/T恤"),
        ("👍🏽é", "👍/🏽/é"),
        ("....--++", "....--++"),
    ] {
        assert_eq!(scorer.segment(text).join("/"), expected, "{text:?}");
    }
}
