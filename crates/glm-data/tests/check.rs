//! What a check says of a data file.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod common;

use std::path::PathBuf;

use common::{chatglm, tiny};
use glm_data::check::{CheckOptions, check_file, check_texts};
use glm_data::format::Format;
use glm_data::{DataConfig, DataError, Encoding, IGNORE_INDEX, OnOverflow, Variant, read_rows, train_rows};
use serde_json::{Value, json};
use tempfile::TempDir;

fn file(contents: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.json");
    std::fs::write(&path, contents).unwrap();
    (dir, path)
}

fn lines(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value}\n")).collect()
}

#[test]
fn everything_wrong_with_a_file_is_listed_with_its_lines() {
    let row = |content: &str, summary: &str| json!({"content": content, "summary": summary});
    let mut text = lines(&[
        row("甲", "乙"),
        row("甲", "乙"),
        row("甲", "丙"),
        row("", "丁"),
        row("有[gMASK]和<sop>", "戊"),
        json!({"content": "己", "summary": 3}),
        row("庚", &"长".repeat(300)),
        row("辛\u{fffd}", "壬"),
    ]);
    text.push_str("{\"content\": \n");
    text.push_str(&lines(&[row("癸", "子"), row("癸", "丑"), row("甲", "乙")]));
    let (_dir, path) = file(format!("\u{feff}{text}"));
    let config = DataConfig { max_target_length: 50, ..DataConfig::default() };
    let report = check_file(&path, &tiny(Variant::ChatGlm2), &config, CheckOptions::default()).unwrap();
    // Without a vocabulary the same is found; lengths are in characters.
    let texts = check_texts(&path, &config, CheckOptions::default()).unwrap();
    assert_eq!((texts.rows_read, texts.rows_used, texts.empty, texts.format), (12, 9, 1, Format::Columns));
    assert_eq!((texts.prompt_characters.max, texts.answer_characters.max), (14, 300));
    assert_eq!((&texts.broken, &texts.special_strings), (&report.broken, &report.special_strings));
    assert_eq!((&texts.damaged, &texts.duplicates), (&report.damaged, &report.duplicates));
    assert_eq!((&texts.contradictions, texts.encoding), (&report.contradictions, report.encoding));
    let three = CheckOptions { rows: Some(3), ..CheckOptions::default() };
    assert_eq!(check_texts(&path, &config, three).unwrap().rows_read, 3);
    assert_eq!(check_file(&path, &tiny(Variant::ChatGlm2), &config, three).unwrap().preprocess.rows_used, 3);
    assert_eq!(report.encoding, Encoding::Utf8Bom);
    assert_eq!(report.preprocess.format, Some(Format::Columns));
    assert_eq!((report.preprocess.rows_read, report.preprocess.rows_used, report.preprocess.samples), (12, 9, 9));
    assert_eq!(report.broken.first.iter().map(|row| row.line).collect::<Vec<_>>(), [6, 9]);
    assert!(report.broken.first[0].reason.contains("expected a text, found the number 3"), "{:?}", report.broken);
    assert_eq!(report.left_out.first.iter().map(|row| row.line).collect::<Vec<_>>(), [4]);
    let special: Vec<_> = report.special_strings.first.iter().map(|s| (s.line, s.text.as_str())).collect();
    assert_eq!(special, [(5, "[gMASK]"), (5, "<sop>")]);
    assert_eq!(report.damaged.first, [8]);
    let repeats = |listing: &glm_data::check::Listing<glm_data::check::Repeat>| {
        listing.first.iter().map(|repeat| repeat.lines.clone()).collect::<Vec<_>>()
    };
    assert_eq!(repeats(&report.duplicates), [vec![1, 2, 12]]);
    assert_eq!(repeats(&report.contradictions), [vec![1, 2, 3, 12], vec![10, 11]]);
    assert_eq!((report.target.cut, report.target.samples, report.target.limit), (1, 9, 50));
    assert_eq!(report.source.cut, 0);
    assert_eq!(report.target.buckets.iter().map(|bucket| bucket.count).sum::<usize>(), 9);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["broken"]["count"], 2);
    assert_eq!(json["encoding"], "utf8-bom");
    assert_eq!(json["preprocess"]["format"], "columns");
}

#[test]
fn shown_samples_are_those_of_training() {
    let row = json!({"prompt": "问一个\u{10ffff}问题", "response": "好的 。", "history": [["早", "早"]]});
    let (_dir, path) = file(lines(&[row.clone(), row.clone(), row]));
    for tokenizer in [tiny(Variant::ChatGlm2), tiny(Variant::ChatGlm3), chatglm(0)] {
        let config = DataConfig::default();
        let options = CheckOptions { samples: 2, ..CheckOptions::default() };
        let report = check_file(&path, &tokenizer, &config, options).unwrap();
        let (trained, _) = train_rows(&read_rows(&path, false).unwrap(), &tokenizer, &config).unwrap();
        assert_eq!(report.shown.len(), 2);
        for (shown, row) in report.shown.iter().zip(&trained) {
            assert_eq!(shown.context_len, row.context_len);
            assert_eq!(shown.tokens.iter().map(|token| token.id).collect::<Vec<_>>(), row.ids);
            let labels: Vec<i64> = shown.tokens.iter().map(|token| token.label.unwrap_or(IGNORE_INDEX)).collect();
            assert_eq!(labels, row.labels);
            let text: String = shown.tokens.iter().map(|token| token.text.as_str()).collect();
            assert!(text.contains("[gMASK]<sop>") && text.ends_with("<end>"), "{text}");
            assert!(text.contains("问一个\u{10ffff}问题") && text.contains("好的"), "{text}");
            assert_eq!(text.contains("<|user|>"), tokenizer.variant() == Variant::ChatGlm3, "{text}");
        }
    }
}

#[test]
fn policies_are_reported_and_not_stopped_at() {
    let values = [json!({"content": "问", "summary": "好".repeat(100)}), json!({"content": "问", "summary": "好"})];
    let (_dir, path) = file(lines(&values));
    let config = DataConfig { max_target_length: 20, on_overflow: OnOverflow::Error, ..DataConfig::default() };
    let report = check_file(&path, &tiny(Variant::ChatGlm2), &config, CheckOptions::default()).unwrap();
    assert_eq!((report.left_out.count, report.left_out.first[0].line, report.preprocess.dropped_long), (1, 1, 1));
    assert!(report.left_out.first[0].reason.contains("too long"));
    assert_eq!((report.target.cut, report.target.samples), (1, 2), "lengths are those of all");
}

#[test]
fn lists_are_bounded_and_counts_whole() {
    let values: Vec<Value> = (0..50).map(|i| json!({"content": format!("[MASK]{i}"), "summary": 3})).collect();
    let mut text = lines(&values);
    text.push_str(&lines(&[json!({"content": "[MASK]", "summary": "好"})]));
    let (_dir, path) = file(text);
    let options = CheckOptions { listed: 7, ..CheckOptions::default() };
    let report = check_file(&path, &tiny(Variant::ChatGlm2), &DataConfig::default(), options).unwrap();
    assert_eq!((report.broken.count, report.broken.first.len()), (50, 7));
}

#[test]
fn a_gbk_file_is_checked_and_named_so() {
    let text = lines(&[json!({"content": "类型上衣颜色白色", "summary": "白色的上衣很好看"})]);
    let (gbk, _, _) = encoding_rs::GBK.encode(&text);
    let (_dir, path) = file(gbk);
    let report = check_file(&path, &tiny(Variant::ChatGlm2), &DataConfig::default(), CheckOptions::default()).unwrap();
    assert_eq!(report.encoding, Encoding::Gbk);
    assert!(report.note.unwrap().contains("GBK"));
    let missing = check_file(
        &path.with_file_name("none"),
        &tiny(Variant::ChatGlm2),
        &DataConfig::default(),
        CheckOptions::default(),
    );
    assert!(matches!(missing, Err(DataError::Io { .. })));
}
