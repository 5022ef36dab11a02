//! `generated_predictions.txt`: written as Python writes it, read in both known forms, broken lines named.

use std::fs;
use std::path::Path;

use glm_infer::predictions::{Prediction, PredictionsError, PredictionsReader, PredictionsWriter, score_file};
use glm_testkit::{fixture, json};

fn prediction(labels: &str, predict: &str) -> Prediction {
    Prediction { labels: labels.to_owned(), predict: predict.to_owned() }
}

fn write(dir: &Path, bytes: &[u8]) -> std::path::PathBuf {
    let file = dir.join("generated_predictions.txt");
    fs::write(&file, bytes).expect("temporary file");
    file
}

/// The error that ends the reading of `bytes`, and the rows before it.
fn failure(bytes: &[u8]) -> (usize, String, bool) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = write(dir.path(), bytes);
    let rows: Vec<_> = PredictionsReader::open(&file).expect("open").collect();
    let good = rows.iter().filter(|row| row.is_ok()).count();
    match rows.into_iter().next_back() {
        Some(Err(error @ PredictionsError::Line { line, cut_off, .. })) => {
            assert_eq!(line, good + 1);
            assert!(error.to_string().starts_with(&format!("{} line {line}: ", file.display())), "{error}");
            (line, error.to_string(), cut_off)
        }
        other => panic!("expected a refused line, found {other:?}"),
    }
}

#[test]
fn decoded_answers_become_the_official_lines() {
    for file in ["metrics/metrics-own.json", "metrics/metrics.json"] {
        if !fixture(file).exists() {
            eprintln!("skipped: {} is absent", fixture(file).display());
            continue;
        }
        let golden = json(file);
        let answers = &golden["from_ids"];
        let lines = answers["generated_predictions_txt"].as_array().expect("lines");
        assert!(!lines.is_empty());
        for (i, line) in lines.iter().enumerate() {
            let decoded = |key: &str| answers[key][i].as_str().expect("text").to_owned();
            let found = Prediction::from_decoded(&decoded("decoded_labels"), &decoded("decoded_predictions"));
            assert_eq!(found.line(), line.as_str().expect("line"));
        }
    }
}

#[test]
fn unusual_characters_are_escaped_as_python_does() {
    // Expected value: json.dumps({"labels": a.strip(), "predict": b.strip()}, ensure_ascii=False), Python 3.11.
    let row =
        prediction("\u{1f} \"a\\b\"\u{7f}\u{2028}c\u{85}", "\u{0}\u{8}\u{9}\u{a}\u{c}\u{d}\u{1b}😀\u{ffff}\u{10ffff}/");
    let expected = "{\"labels\": \"\\\"a\\\\b\\\"\u{7f}\u{2028}c\", \
                    \"predict\": \"\\u0000\\b\\t\\n\\f\\r\\u001b😀\u{ffff}\u{10ffff}/\"}";
    assert_eq!(row.line(), expected);
}

#[test]
fn each_line_is_in_the_file_at_once_and_reads_back() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = dir.path().join("generated_predictions.txt");
    fs::write(&file, "left over from an earlier run").expect("temporary file");
    let mut writer = PredictionsWriter::create(&file).expect("create");
    let rows = [prediction("好", "坏"), prediction("", ""), prediction("a\nb", "\u{2028}\u{0}x")];
    let mut expected = String::new();
    for row in &rows {
        writer.write(row).expect("write");
        expected += &(row.line() + "\n");
        assert_eq!(fs::read_to_string(&file).expect("read"), expected);
    }
    let read: Result<Vec<_>, _> = PredictionsReader::open(&file).expect("open").collect();
    let stripped = [prediction("好", "坏"), prediction("", ""), prediction("a\nb", "\u{0}x")];
    assert_eq!(read.expect("rows"), stripped);
}

#[test]
fn the_form_of_the_efficient_tuning_project_is_read_too() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let text = "\u{feff}{\"prompt\": [1, {}], \"label\": \"今天\", \"predict\": \"今天\"}\r\n\n{\"predict\":\"明天\",\"label\":\"昨天\"}";
    let file = write(dir.path(), text.as_bytes());
    let read: Result<Vec<_>, _> = PredictionsReader::open(&file).expect("open").collect();
    assert_eq!(read.expect("rows"), [prediction("今天", "今天"), prediction("昨天", "明天")]);
}

#[test]
fn a_file_scores_as_its_pairs_do() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let rows = [prediction("今天天气很好", "今天天气很好"), prediction("今天", "  "), prediction("今天", "明日")];
    let text: String = rows.iter().map(|row| row.line() + "\n").collect();
    let summary = score_file(&write(dir.path(), text.as_bytes())).expect("scores");
    assert_eq!((summary.pairs, summary.empty), (3, 1));
    // A text equal to its reference scores 100 in each but for the 1e-8 of ROUGE, which four decimals do not show.
    assert!((summary.rouge_l - 100.0 / 3.0).abs() < 1e-9, "{summary:?}");
    assert!((summary.bleu_4 - 100.0 / 3.0).abs() < 1e-9, "{summary:?}");
}

#[test]
fn broken_lines_are_named_and_end_the_reading() {
    let good = "{\"labels\": \"a\", \"predict\": \"b\"}\n";
    for (bad, part) in [
        ("{\"labels\": \"a\"}\n", "missing field `predict`"),
        ("{\"labels\": \"a\", \"predict\": 3}\n", "invalid type: integer `3`"),
        ("{\"labels\": \"a\", \"label\": \"a\", \"predict\": \"b\"}\n", "duplicate field"),
        ("[\"a\", \"b\"]\n", "not a json object"),
        ("{\"labels\": \"\\ud800\", \"predict\": \"b\"}\n", "at column"),
        ("{\n", "EOF while parsing"),
    ] {
        let (line, message, cut_off) = failure(format!("{good}{bad}{good}").as_bytes());
        assert_eq!(line, 2);
        assert!(message.contains(part), "{message}");
        assert!(!cut_off, "{message}");
    }
    let (_, message, _) = failure(b"{\"labels\": \"\xc4\xe3\", \"predict\": \"b\"}\n");
    assert!(message.contains("invalid unicode"), "{message}");
}

#[test]
fn a_line_that_an_interrupted_run_left_is_told_apart() {
    let whole = prediction("好吗", "不好}").line();
    for end in 1..whole.len() {
        let (line, message, cut_off) = failure(&[whole.as_bytes(), b"\n", &whole.as_bytes()[..end]].concat());
        assert_eq!(line, 2);
        assert!(cut_off, "cut at byte {end}: {message}");
    }
}

#[test]
fn absent_and_empty_files_are_named() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let absent = dir.path().join("absent.txt");
    let message = score_file(&absent).expect_err("no file").to_string();
    assert!(message.contains("absent.txt"), "{message}");
    let empty = write(dir.path(), b"\n \n");
    assert!(matches!(score_file(&empty), Err(PredictionsError::Empty { path }) if path == empty));
}
