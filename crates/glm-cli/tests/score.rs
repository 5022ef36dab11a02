//! `glmtune score`.

mod args_support;

use std::fs;

use args_support::{glmtune, stderr};

fn scored(text: &str) -> std::process::Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("predictions.txt"), text).expect("a writable folder");
    let output = glmtune(folder.path(), "score predictions.txt");
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1, "nothing is written");
    output
}

#[test]
fn prints_every_score_and_counts_empty_answers() {
    let output = scored(
        "{\"labels\": \"宽松的上衣很舒适\", \"predict\": \"宽松的上衣很舒适\"}\n{\"labels\": \"显瘦的裤子\", \"predict\": \"\"}\n",
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).expect("text");
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    // One perfect pair and one that scores 0.
    for (row, name) in rows.iter().zip(["ROUGE-1", "ROUGE-2", "ROUGE-L", "BLEU-4"]) {
        assert_eq!(row[..], [name, "50.0000"], "{text}");
    }
    assert_eq!(rows[4][..], ["pairs", "2"], "{text}");
    assert_eq!(rows[5][..2], ["empty", "1"], "{text}");
}

#[test]
fn broken_files_are_named() {
    for (text, parts) in [
        ("", ["predictions.txt", "no predictions"]),
        ("{\"labels\": \"a\", \"predict\": \"b\"}\n{\"labels\": 3}\n", ["predictions.txt", "line 2"]),
        ("{\"labels\": \"a\", \"predict\": \"b\"}\n{\"labels\": \"a", ["line 2", "breaks off"]),
    ] {
        let output = scored(text);
        assert_eq!(output.status.code(), Some(1));
        for part in parts {
            assert!(stderr(&output).contains(part), "expected {part:?} in {}", stderr(&output));
        }
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = glmtune(folder.path(), "score gone.txt");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("gone.txt"));
}
