//! Data files as users have them: three formats, two encodings, and everything that can be wrong with them.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use std::path::PathBuf;

use glm_data::{Encoding, Json, Row, Rows, read_rows};
use glm_testkit::external;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

fn file(name: &str, contents: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, contents).unwrap();
    (dir, path)
}

fn read(name: &str, contents: impl AsRef<[u8]>) -> Rows {
    let (_dir, path) = file(name, contents);
    read_rows(&path, false).unwrap_or_else(|e| panic!("{e}"))
}

/// Columns of each row as pairs, and its line.
fn table(rows: &Rows) -> Vec<(Vec<(&str, Value)>, usize)> {
    let columns = |row| Row::columns(row).map(|(name, json)| (name, value(json))).collect();
    rows.rows.iter().map(|row| (columns(row), row.line)).collect()
}

/// The value in serde_json's form.
fn value(json: &Json) -> Value {
    serde_json::to_value(json).unwrap()
}

const PRETTY: &str = "{\n  \"q\": \"甲{[\\\"\\\\\",\n  \"a\": [1, {\"x\": \"]}\"}]\n}";

#[test]
fn every_form_of_json_gives_the_same_rows_whatever_the_name() {
    let line = r#"{"q": "甲{[\"\\", "a": [1, {"x": "]}"}]}"#;
    let value = json!([1, {"x": "]}"}]);
    let text = json!("甲{[\"\\");
    let expected = vec![("q", text), ("a", value)];
    let forms = [
        (format!("[{line}, {line}]"), [1, 1]),
        (format!("\n [\n{line}\n,\n\n{line}]\n"), [3, 6]),
        (format!("[{PRETTY},\r\n{PRETTY}]"), [1, 5]),
        (format!("{line}\n{line}"), [1, 2]),
        (format!("{line}\r\n\r\n  {line}\r\n\n"), [1, 3]),
        (format!("{PRETTY}\n{PRETTY}\n"), [1, 5]),
        (format!("{PRETTY}{PRETTY}"), [1, 4]),
    ];
    for (form, lines) in forms {
        for bom in ["", "\u{feff}"] {
            for name in ["x.json", "x.jsonl", "x.csv", "x"] {
                let (_dir, path) = file(name, format!("{bom}{form}"));
                let rows = read_rows(&path, false).unwrap_or_else(|e| panic!("{e}: {form}"));
                assert_eq!(table(&rows), [(expected.clone(), lines[0]), (expected.clone(), lines[1])], "{form}");
                assert_eq!(rows.rows.iter().map(|row| row.index).collect::<Vec<_>>(), [0, 1]);
                assert_eq!((rows.note.as_ref(), rows.skipped.len()), (None, 0));
            }
        }
    }
}

#[test]
fn csv_keeps_texts_as_they_are() {
    let rows = read(
        "x.csv",
        "\u{feff}content,summary,history\r\n甲,\"乙,\n\"\"丙\"\"\",\"[[\"\"a\"\",\"\"b\"\"]]\"\n007,,NA\n",
    );
    let texts = ["甲", "乙,\n\"丙\"", "[[\"a\",\"b\"]]", "007", "", "NA"].map(|t| json!(t));
    let row =
        |i: usize| ["content", "summary", "history"].into_iter().zip(texts[i..].iter().cloned()).collect::<Vec<_>>();
    assert_eq!(table(&rows), [(row(0), 2), (row(3), 4)]);
    assert_eq!(read("x.csv", "a,b\n").rows.len(), 0);
    assert_eq!(read("x.json", "[ ]\n").rows.len(), 0);
}

#[test]
fn names_keep_their_order_however_deep() {
    let line = r#"{"z":{"b":[{"y":1.5,"x":-2,"y2":18446744073709551615}],"a":true},"k":null}"#;
    let rows = read("x.json", line);
    let columns: Vec<_> =
        rows.rows[0].columns().map(|(name, json)| (name, serde_json::to_string(json).unwrap())).collect();
    assert_eq!(columns[0], ("z", r#"{"b":[{"y":1.5,"x":-2,"y2":18446744073709551615}],"a":true}"#.into()));
    assert_eq!(columns[1], ("k", "null".into()));
}

#[test]
fn a_name_that_occurs_twice_has_its_last_value() {
    let rows = read("x.json", r#"{"q": 1, "q": 2}"#);
    assert_eq!(rows.rows[0].get("q").map(value), Some(json!(2)));
    assert_eq!(rows.rows[0].get("p"), None);
}

#[test]
fn gbk_is_read_with_a_note() {
    let text: String =
        (0..3000).map(|i| format!("{{\"content\": \"类型#上衣{i}\", \"summary\": \"白色的上衣。\"}}\n")).collect();
    let (gbk, _, lossy) = encoding_rs::GBK.encode(&text);
    assert!(!lossy && gbk.len() > 2 << 16, "spans several chunks");
    let rows = read("x.json", &gbk);
    assert_eq!(rows.rows, read("x.json", &text).rows);
    assert!(rows.note.unwrap().contains("x.json: read as GBK"));
    assert_eq!(rows.encoding, Encoding::Gbk);
    assert_eq!(read("x.json", format!("\u{feff}{text}")).encoding, Encoding::Utf8Bom);
    assert_eq!(read("x.json", &text).encoding, Encoding::Utf8);
    // Damage makes it an error that still says GBK.
    let mut damaged = gbk.into_owned();
    damaged[20] = 0xff;
    let (_dir, path) = file("x.json", damaged);
    let message = read_rows(&path, false).unwrap_err().to_string();
    assert!(message.contains("x.json line 1, byte 13: invalid UTF-8") && message.contains("GBK"), "{message}");
}

/// File name, contents, what the message must hold, and the number of good rows when broken ones may be skipped (`None`:
/// the file as a whole is broken).
type Hostile<'a> = (&'a str, &'a [u8], &'a [&'a str], Option<usize>);

const HOSTILE: &[Hostile] = &[
    ("x.json", b"", &["x.json", "empty"], None),
    ("x.json", b" \n\t\n", &["empty"], None),
    ("x.json", b"content,summary\na,b\n", &["expected '[' or '{'", "found 'c'"], None),
    ("x.json", b"[{\"q\": 1}, {\"q\": }, {\"q\": 2}]", &["x.json line 1", "expected value"], Some(2)),
    ("x.json", b"[{\"q\": 1},\n{\"q\": 1\n,,},\n{\"q\": 2}]", &["line 3", "column 2"], Some(2)),
    ("x.json", b"[{\"q\": 1},\n 3, \"x\", null, [1], {\"q\": 2}]", &["line 2", "columns of a row"], Some(2)),
    ("x.json", b"[{\"q\": 1}\n{\"q\": 2}]", &["line 2", "expected ',' or ']'", "'{'"], None),
    ("x.json", b"[{\"q\": 1},\n]", &["line 2", "expected a row after ','"], None),
    ("x.json", b"[,{\"q\": 1}]", &["line 1", "before ','"], None),
    ("x.json", b"[{\"q\": 1},\n\n", &["line 3", "never closed"], None),
    ("x.json", b"[{\"q\": 1},\n{\"q\": {\"a\": 2}\n", &["line 2", "never closed"], None),
    ("x.json", b"[{\"q\": 1}]\n[{\"q\": 2}]", &["line 2", "extra data"], None),
    (
        "x.json",
        b"[{\"q\": 1},\n{\"q\": \"abc},\n{\"q\": \"d\"}]",
        &["line 2", "not closed before the end of the line"],
        None,
    ),
    ("x.jsonl", b"{\"q\": 1}\n{\"q\": \"x\n{\"q\": 2}\n", &["line 2", "EOF"], Some(2)),
    ("x.jsonl", b"{\"q\": \n{\"q\": 2}\n", &["line 1"], Some(1)),
    ("x.jsonl", b"{\"q\": 1},\n{\"q\": 2}\n", &["line 1", "trailing"], Some(1)),
    ("x.jsonl", b"{\"q\": 1}\nnull\n5\n{\"q\": \"\\ud800\"}\n{\"q\": 2}", &["line 2"], Some(2)),
    (
        "x.jsonl",
        b"{\"q\": \"\xe4\xbd\xa0\"}\n{\"q\": \"a\xff\"}\n",
        &["line 2, byte 21: invalid UTF-8", "skipped"],
        Some(1),
    ),
    ("x.json", b"[{\"q\": \"\xe4\xbd\xa0\"},\n{\"q\": \"a\xff\"}]", &["line 2, byte 23: invalid UTF-8"], Some(1)),
    ("x.csv", b"q,a\n\xe4\xbd\xa0,2\n\xff,3\n", &["line 3, byte 10: invalid UTF-8"], Some(1)),
    ("x.csv", b"q,a\n1,2\n3\n4,5,6\n7,8\n", &["line 3", "expected 2 fields", "found 1"], Some(2)),
    ("x.csv", b"q,q\n1,2\n", &["line 1", "\"q\" twice"], None),
    ("x.csv", b"q,a\n1,\"2\n3,4\n5,6\n", &["line 2", "never closed"], None),
    ("x.json", b"\x1f\x8b\x08\x00", &["gzip"], None),
    ("x.csv", b"PK\x03\x04\x00", &["Excel"], None),
    ("x.csv", b"\xff\xfea\x00,\x00b\x00", &["UTF-16"], None),
];

#[test]
fn broken_files_are_named_and_broken_rows_can_be_skipped() {
    for &(name, contents, expected, good) in HOSTILE {
        let shown = String::from_utf8_lossy(contents);
        let (_dir, path) = file(name, contents);
        let message = read_rows(&path, false).map_or_else(|e| e.to_string(), |r| panic!("{shown:?} gave {r:?}"));
        for part in [name].iter().chain(expected) {
            assert!(message.contains(part), "{shown:?}: {message:?} lacks {part:?}");
        }
        match (read_rows(&path, true), good) {
            (Ok(rows), Some(good)) => {
                assert_eq!(rows.rows.len(), good, "{shown:?}");
                let mut indices: Vec<_> = rows.rows.iter().map(|r| r.index).collect();
                indices.extend(rows.skipped.iter().map(|r| r.index));
                indices.sort_unstable();
                assert_eq!(indices, (0..indices.len()).collect::<Vec<_>>(), "every row is counted once");
            }
            (Err(_), None) => {}
            (other, _) => panic!("{shown:?}: {other:?}"),
        }
    }
}

#[test]
fn deep_nesting_long_reasons_and_folders_are_refused() {
    let deep = format!("{{\"q\": {}", "[".repeat(100_000));
    let (_dir, path) = file("x.jsonl", format!("{deep}\n{{}}\n"));
    assert!(read_rows(&path, false).unwrap_err().to_string().contains("line 1: column"));
    let (dir, path) = file("x.jsonl", format!("{{}}\n\"{}\"\n", "长".repeat(10_000)));
    assert!(read_rows(&path, false).unwrap_err().to_string().chars().count() < 1000);
    assert!(read_rows(dir.path(), false).unwrap_err().to_string().contains("not a regular file"));
    let absent = read_rows(&dir.path().join("absent.json"), false).unwrap_err().to_string();
    assert!(absent.contains("absent.json: cannot be read"), "{absent}");
}

#[test]
fn adgen_is_json_lines_in_spite_of_its_name() {
    let Some(path) = external("adgen/dev.json") else { return };
    let mut rows = read_rows(&path, false).unwrap();
    let lines = std::fs::read_to_string(&path).unwrap().lines().filter(|l| !l.trim().is_empty()).count();
    assert_eq!(rows.rows.len(), lines);
    assert!(rows.rows.iter().all(|row| row.names().eq(["content", "summary"])));
    rows.truncate(3);
    assert_eq!(rows.rows.len(), 3);
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let tokens =
        ["{", "}", "[", "]", ",", "\"", "\\", ":", "\n", " ", "\"q\"", "1", "a,b", "你", "{\"q\":1}", "\u{feff}"];
    let token = prop_oneof![
        prop::sample::select(tokens.map(|t| t.as_bytes().to_vec()).to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(token, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in pieces(), json_name in any::<bool>(), lenient in any::<bool>()) {
        let (_dir, path) = file(if json_name { "x.json" } else { "x.csv" }, bytes);
        if let Ok(rows) = read_rows(&path, lenient) {
            prop_assert!(lenient || rows.skipped.is_empty());
        }
    }

    #[test]
    fn written_rows_come_back(texts in prop::collection::vec((".{0,30}", ".{0,30}"), 1..20)) {
        let values: Vec<Value> = texts.iter().map(|(q, a)| json!({"a": a, "q": q})).collect();
        let lines: Vec<String> = values.iter().map(ToString::to_string).collect();
        let pretty = serde_json::to_string_pretty(&values).unwrap();
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["a", "q"]).unwrap();
        for (q, a) in &texts {
            csv.write_record([a, q]).unwrap();
        }
        let csv = String::from_utf8(csv.into_inner().unwrap()).unwrap();
        for (name, contents) in [("x.jsonl", lines.join("\n")), ("x.json", pretty), ("x.csv", csv)] {
            let rows = read(name, contents);
            let back: Vec<_> = rows.rows.iter().map(|row| (row.get("q").map(value), row.get("a").map(value))).collect();
            let expected: Vec<_> = texts.iter().map(|(q, a)| (Some(json!(q)), Some(json!(a)))).collect();
            prop_assert_eq!(back, expected, "{}", name);
        }
    }
}
