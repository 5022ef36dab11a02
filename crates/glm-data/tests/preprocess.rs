//! Ids and labels against the official script, and where ours differs on purpose.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod common;

use common::{cases, ids, list, optional, text};
use glm_data::{
    DataConfig, DataError, IGNORE_INDEX, Rows, Tokenizer, Variant, eval_rows, prompt, read_rows, train_rows,
};
use glm_testkit::json;
use serde_json::{Value, json};

/// Rows as they come from a file of JSON lines.
fn rows(values: &[Value]) -> Rows {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rows.json");
    let lines: Vec<String> = values.iter().map(ToString::to_string).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    read_rows(&file, false).unwrap()
}

fn config(case: &Value) -> DataConfig {
    DataConfig {
        prompt_column: Some(text(&case["prompt_column"]).into()),
        response_column: Some(text(&case["response_column"]).into()),
        history_column: case["history_column"].as_str().map(Into::into),
        max_source_length: case["max_source_length"].as_u64().unwrap() as usize,
        max_target_length: case["max_target_length"].as_u64().unwrap() as usize,
        compat: true,
        ..DataConfig::default()
    }
}

fn labels(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect()
}

fn check_train(folder: &str, tokenizer: &Tokenizer, case: &Value) {
    let (ours, report) = train_rows(&rows(list(case, "rows")), tokenizer, &config(case)).unwrap();
    let golden = &case["train"];
    assert_eq!(ours.len(), list(golden, "input_ids").len(), "{folder}");
    assert_eq!(report.rows_used, ours.len());
    for (i, row) in ours.iter().enumerate() {
        let (padded, padded_labels) = (ids(&golden["input_ids"][i]), labels(&golden["labels"][i]));
        let (ids, tail) = padded.split_at(row.ids.len());
        let (labels, label_tail) = padded_labels.split_at(row.ids.len());
        assert_eq!(row.ids, ids, "{folder} row {i}");
        assert_eq!(row.labels, labels, "{folder} row {i}");
        assert!(tail.iter().all(|&id| id == tokenizer.pad_id()), "{folder} row {i}");
        assert!(label_tail.iter().all(|&label| label == IGNORE_INDEX), "{folder} row {i}");
        assert!(row.labels[..row.context_len].iter().all(|&label| label == IGNORE_INDEX));
        assert_eq!(row.ids.last(), Some(&tokenizer.eos_id()));
    }
}

fn check_eval(folder: &str, tokenizer: &Tokenizer, case: &Value) {
    let (ours, _) = eval_rows(&rows(list(case, "rows")), tokenizer, &config(case)).unwrap();
    let golden = &case["eval"];
    assert_eq!(ours.len(), list(golden, "input_ids").len(), "{folder}");
    for (i, row) in ours.iter().enumerate() {
        let (padded, mask) = (ids(&golden["input_ids"][i]), ids(&golden["attention_mask"][i]));
        let start = mask.iter().position(|&m| m == 1).unwrap();
        assert_eq!(row.ids, padded[start..], "{folder} row {i}");
        assert_eq!(row.label_ids, ids(&golden["labels"][i]), "{folder} row {i}");
        assert_eq!(row.reference, tokenizer.decode(&row.label_ids));
        assert!(row.answer.starts_with(&row.reference) || row.reference.contains('\u{fffd}'), "{folder} row {i}");
        let source = &case["rows"][row.source];
        assert_eq!(source[text(&case["response_column"])], row.answer);
        assert_eq!(source[text(&case["prompt_column"])], row.query);
    }
}

#[test]
fn compat_rows_equal_the_official_script() {
    for (folder, tokenizer) in cases() {
        let mut goldens = vec![json(&format!("{folder}/preprocess.json"))];
        if folder == "glm2-tokenizer" {
            goldens.extend(optional("glm2-tokenizer/preprocess-adgen.json"));
        }
        for case in goldens.iter().flat_map(|golden| list(golden, "cases")) {
            check_train(folder, &tokenizer, case);
            check_eval(folder, &tokenizer, case);
        }
    }
}

#[test]
fn rows_that_fit_are_the_same_without_compat() {
    for (folder, tokenizer) in cases() {
        for case in list(&json(&format!("{folder}/preprocess.json")), "cases") {
            let rows = rows(list(case, "rows"));
            let roomy = DataConfig { max_source_length: 4096, max_target_length: 4096, ..config(case) };
            let ours = DataConfig { compat: false, ..roomy.clone() };
            let (official, _) = train_rows(&rows, &tokenizer, &roomy).unwrap();
            let (default, report) = train_rows(&rows, &tokenizer, &ours).unwrap();
            assert_eq!(official, default, "{folder}");
            assert_eq!((report.prompts_cut, report.answers_cut), (0, 0));
        }
    }
}

fn tiny() -> Tokenizer {
    cases().remove(0).1
}

#[test]
fn a_long_prompt_loses_its_oldest_turns_first() {
    let tokenizer = tiny();
    let history: Vec<_> = (0..6).map(|i| (format!("问题{i}"), "回答".repeat(8))).collect();
    let rows = rows(&[json!({"p": "最后的问题", "r": "好", "h": history})]);
    let length = |history: &_| prompt::prompt_ids(&tokenizer, "最后的问题", history, None).len();
    for limit in length(&Vec::new())..length(&history) {
        let config = DataConfig {
            prompt_column: Some("p".into()),
            response_column: Some("r".into()),
            history_column: Some("h".into()),
            max_source_length: limit,
            ..DataConfig::default()
        };
        let (ours, report) = train_rows(&rows, &tokenizer, &config).unwrap();
        let ids = &ours[0].ids[..ours[0].context_len];
        // As many of the newest turns as fit.
        let expected = (1..=6)
            .map(|k| prompt::prompt_ids(&tokenizer, "最后的问题", &history[k..], None))
            .find(|ids| ids.len() <= limit)
            .unwrap();
        assert_eq!(ids, expected, "limit {limit}");
        assert_eq!((report.prompts_cut, report.cut_lines.as_slice()), (1, [1].as_slice()));
    }
}

#[test]
fn a_long_question_loses_its_middle_and_never_the_end_of_the_template() {
    let tokenizer = tiny();
    let question = format!("开头{}结尾", "中间的话。".repeat(400));
    let rows = rows(&[json!({"content": question, "summary": "好"})]);
    let template = prompt::prompt_ids(&tokenizer, "", &[], None).len();
    for limit in [template + 12, template + 40, 300] {
        let config = DataConfig { max_source_length: limit, ..DataConfig::default() };
        let (ours, report) = train_rows(&rows, &tokenizer, &config).unwrap();
        let prompt = tokenizer.decode(&ours[0].ids[..ours[0].context_len]);
        assert!(ours[0].context_len <= limit && ours[0].context_len + 8 > limit, "{limit}");
        assert!(prompt.starts_with("[Round 1]\n\n问：开头"), "{prompt}");
        assert!(prompt.ends_with("结尾\n\n答："), "{prompt}");
        assert_eq!(report.prompts_cut, 1);
        let (asked, _) = eval_rows(&rows, &tokenizer, &config).unwrap();
        assert_eq!(asked[0].ids, ours[0].ids[..ours[0].context_len], "asked as trained");
    }
    let config = DataConfig { max_source_length: template, ..DataConfig::default() };
    match train_rows(&rows, &tokenizer, &config) {
        Err(DataError::NoRoom { limit, needed, .. }) => assert_eq!((limit, needed), (template, template)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cut_answer_does_not_teach_to_stop() {
    let tokenizer = tiny();
    let answer = "长长的回答".repeat(10);
    let length = tokenizer.encode(&answer).len();
    let rows = rows(&[json!({"content": "问", "summary": answer}), json!({"content": "问", "summary": "好"})]);
    for limit in [1, 7, length - 1, length] {
        let config = DataConfig { max_target_length: limit, ..DataConfig::default() };
        let (ours, report) = train_rows(&rows, &tokenizer, &config).unwrap();
        let row = &ours[0];
        let cut = limit < length;
        assert_eq!(row.ids.len(), row.context_len + limit + usize::from(!cut));
        assert_eq!(row.ids.last() == Some(&tokenizer.eos_id()), !cut);
        assert_eq!(
            row.labels[row.context_len..],
            row.ids[row.context_len..].iter().map(|&i| i64::from(i)).collect::<Vec<_>>()
        );
        let short = tokenizer.encode("好").len();
        assert_eq!(report.answers_cut, usize::from(cut) + usize::from(limit < short));
        assert_eq!(report.answer_lengths.max, length);
        let scored = |row: &glm_data::TrainRow| row.ids.len() - row.context_len;
        assert_eq!(report.supervised_tokens, ours.iter().map(scored).sum::<usize>());
        assert_eq!(report.to_string().contains("raise --max_target_length"), cut);
    }
    let config = DataConfig { max_target_length: 0, ..DataConfig::default() };
    assert!(matches!(train_rows(&rows, &tokenizer, &config), Err(DataError::Config(_))));
}

#[test]
fn pad_labels_follow_the_official_switch() {
    let tokenizer = tiny();
    let rows = rows(&[json!({"content": "问", "summary": "好"})]);
    let base = DataConfig { max_source_length: 64, max_target_length: 16, compat: true, ..DataConfig::default() };
    let (ignored, _) = train_rows(&rows, &tokenizer, &base).unwrap();
    let trained = DataConfig { ignore_pad_token_for_loss: false, ..base.clone() };
    let (padded, _) = train_rows(&rows, &tokenizer, &trained).unwrap();
    let (short, long) = (&ignored[0], &padded[0]);
    assert_eq!(long.ids.len(), 64 + 16 + 1);
    assert_eq!(long.ids[..short.ids.len()], short.ids);
    assert!(long.ids[short.ids.len()..].iter().all(|&id| id == tokenizer.pad_id()));
    let unignored = short.labels.iter().map(|&l| if l == IGNORE_INDEX { i64::from(tokenizer.pad_id()) } else { l });
    assert_eq!(long.labels[..short.ids.len()], unignored.collect::<Vec<_>>());
    assert!(long.labels[short.ids.len()..].iter().all(|&l| l == i64::from(tokenizer.pad_id())));
    let (ours, _) = train_rows(&rows, &tokenizer, &DataConfig { compat: false, ..trained }).unwrap();
    assert_eq!(&ours[0], short, "prompts are never targets without compat");
}

#[test]
fn source_prefix_stands_before_the_template() {
    let tokenizer = tiny();
    let rows = rows(&[json!({"content": "问", "summary": "好"})]);
    let config = DataConfig { source_prefix: "写广告：".into(), ..DataConfig::default() };
    let (ours, _) = train_rows(&rows, &tokenizer, &config).unwrap();
    assert_eq!(tokenizer.decode(&ours[0].ids[..ours[0].context_len]), "写广告：[Round 1]\n\n问：问\n\n答：");
}

#[test]
fn wrong_columns_and_types_are_named() {
    let tokenizer = tiny();
    let good = json!({"content": "问", "summary": "好", "history": [["a", "b"]]});
    let check = |row: Value, history: bool, expected: &[&str]| {
        let rows = rows(&[good.clone(), row]);
        let history_column = history.then(|| "history".to_string());
        let config = DataConfig { history_column, ..DataConfig::default() };
        let message = train_rows(&rows, &tokenizer, &config).unwrap_err().to_string();
        for part in ["rows.json line 2: "].iter().chain(expected) {
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        }
        let lenient = DataConfig { lenient: true, ..config };
        let (ours, report) = train_rows(&rows, &tokenizer, &lenient).unwrap();
        assert_eq!((ours.len(), report.skipped_broken, report.broken_lines), (1, 1, vec![2]));
    };
    check(json!({"content": 3, "summary": "好"}), false, &["\"content\"", "expected a text", "the number 3"]);
    check(json!({"content": "问", "summary": null}), false, &["\"summary\"", "found null"]);
    check(json!({"content": ["问"], "summary": "好"}), false, &["found a list"]);
    check(json!({"content": "问"}), false, &["no column \"summary\"", "\"content\""]);
    for (history, found) in [
        (json!("[[\"a\"]"), "not JSON"),
        (json!([["a"]]), "a turn with 1 entries"),
        (json!([["a", null]]), "a turn of a text and null"),
        (json!([{"q": "a"}]), "an object as a turn"),
        (json!({"q": "a"}), "an object"),
        (json!("\"[]\""), "a text"),
    ] {
        check(json!({"content": "问", "summary": "好", "history": history}), true, &["\"history\"", found]);
    }
}

#[test]
fn a_wrong_column_name_suggests_the_right_one_even_when_lenient() {
    let tokenizer = tiny();
    let rows = rows(&[json!({"Content": "问", "summary": "好"})]);
    let config = DataConfig { lenient: true, ..DataConfig::default() };
    let message = train_rows(&rows, &tokenizer, &config).unwrap_err().to_string();
    assert!(message.contains("the row has \"Content\", \"summary\"; did you mean \"Content\"?"), "{message}");
    let config = DataConfig { prompt_column: Some("Content".into()), history_column: Some("history".into()), ..config };
    let message = train_rows(&rows, &tokenizer, &config).unwrap_err().to_string();
    assert!(message.contains("no column \"history\"") && !message.contains("did you mean"), "{message}");
}

#[test]
fn nothing_left_is_an_error_that_says_why() {
    let tokenizer = tiny();
    let empty = rows(&[json!({"content": "", "summary": "好"}), json!({"content": "问", "summary": ""})]);
    let message = train_rows(&empty, &tokenizer, &DataConfig::default()).unwrap_err().to_string();
    assert!(message.contains("0 of 2 rows used, 2 with an empty prompt or answer"), "{message}");
    // The official script drops null like an empty text.
    let null = rows(&[json!({"content": null, "summary": "好"}), json!({"content": "问", "summary": "好"})]);
    let compat = DataConfig { compat: true, ..DataConfig::default() };
    assert_eq!(train_rows(&null, &tokenizer, &compat).unwrap().1.dropped_empty, 1);
}

#[test]
fn histories_may_be_json_texts_null_or_absent() {
    let tokenizer = tiny();
    let row = |history: Value| json!({"content": "问", "summary": "好", "history": history});
    let turns = json!([["a", "b"]]);
    let mut values: Vec<Value> = [turns.clone(), json!(turns.to_string())].map(row).to_vec();
    values.extend([row(Value::Null), row(json!("")), row(json!([])), json!({"content": "问", "summary": "好"})]);
    let config = DataConfig { history_column: Some("history".into()), ..DataConfig::default() };
    let (ours, _) = eval_rows(&rows(&values), &tokenizer, &config).unwrap();
    let expected = [("a".to_string(), "b".to_string())];
    for (i, row) in ours.iter().enumerate() {
        assert_eq!(row.history, if i < 2 { expected.as_slice() } else { &[] }, "row {i}");
    }
    assert_eq!(ours[0].reference, "好");
}

/// The tiny vocabulary without byte fallback, so that it has unknown characters.
fn tiny_with_unknowns() -> Tokenizer {
    let mut bytes = std::fs::read(glm_testkit::fixture("tiny-tokenizer/tokenizer.model")).unwrap();
    // Field 35 of the trainer settings, a varint: byte_fallback = true. The settings follow the pieces.
    let flag = bytes.windows(3).rposition(|window| window == [0x98, 0x02, 0x01]).unwrap();
    bytes[flag + 2] = 0;
    Tokenizer::from_bytes(&bytes, Variant::ChatGlm2).unwrap()
}

#[test]
fn unknown_tokens_of_an_answer_are_targets_only_when_pads_are() {
    let tokenizer = tiny_with_unknowns();
    let rows = rows(&[json!({"content": "问", "summary": "\u{10ffff}\u{10fffe}"})]);
    for (compat, ignore) in [(true, true), (true, false), (false, true), (false, false)] {
        let config = DataConfig { compat, ignore_pad_token_for_loss: ignore, ..DataConfig::default() };
        let (ours, report) = train_rows(&rows, &tokenizer, &config).unwrap();
        let row = &ours[0];
        let at = row.context_len + row.ids[row.context_len..].iter().position(|&id| id == tokenizer.pad_id()).unwrap();
        assert_eq!(row.labels[at], if ignore { IGNORE_INDEX } else { 0 }, "compat {compat}, ignore {ignore}");
        assert_eq!(row.ids[at + 1], tokenizer.eos_id(), "a run of unknown characters is one token");
        assert_eq!(report.supervised_tokens, row.labels[1..].iter().filter(|&&l| l != IGNORE_INDEX).count());
    }
}

#[test]
fn rows_with_nothing_to_learn_are_left_out_and_counted() {
    let tokenizer = tiny();
    let template = prompt::prompt_ids(&tokenizer, "", &[], None).len();
    // Four byte tokens do not fit where one may stand.
    let rows =
        rows(&[json!({"content": "\u{10ffff}\u{10ffff}", "summary": "好"}), json!({"content": "1", "summary": "好"})]);
    let config = DataConfig { max_source_length: template + 1, ..DataConfig::default() };
    let (ours, report) = train_rows(&rows, &tokenizer, &config).unwrap();
    assert_eq!((ours.len(), ours[0].source), (1, 1));
    assert_eq!((report.rows_used, report.untrainable, report.untrainable_lines.as_slice()), (1, 1, [1].as_slice()));
    assert!(report.to_string().contains("rows with nothing to learn from: 1 (first on lines 1)"), "{report}");
}
