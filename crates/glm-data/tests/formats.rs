//! Every data format, recognised from its columns; what is wrong with rows; and conversion.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod common;

use common::{rows, tiny};
use glm_data::format::{AlpacaJoin, ConvertTo, Format, Layout, convert};
use glm_data::{DataConfig, DataError, Rows, TrainOn, Variant, eval_rows, read_rows, train_rows};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The same dialogue in every format that can hold it, with its format.
fn same_dialogue() -> Vec<(Format, Value)> {
    let turns = json!([["早", "早上好"], ["有面条吗", "有"]]);
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let messages: Vec<Value> = [
        ("user", "早"),
        ("assistant", "早上好"),
        ("user", "有面条吗"),
        ("assistant", "有"),
        ("user", "来一碗\n大的"),
        ("assistant", "好的"),
    ]
    .map(|(role, content)| message(role, content))
    .to_vec();
    let sharegpt: Vec<Value> = messages
        .iter()
        .map(|m| json!({"from": if m["role"] == "user" { "human" } else { "gpt" }, "value": m["content"]}))
        .collect();
    vec![
        (Format::Chat, json!({"prompt": "来一碗\n大的", "response": "好的", "history": turns})),
        (Format::Alpaca, json!({"instruction": "来一碗", "input": "大的", "output": "好的", "history": turns})),
        (Format::ChatGlm3, json!({"conversations": messages})),
        (Format::Messages, json!({"messages": messages})),
        (Format::ShareGpt, json!({"conversations": sharegpt})),
    ]
}

#[test]
fn every_format_is_recognised_and_gives_the_same_samples() {
    for variant in [Variant::ChatGlm2, Variant::ChatGlm3] {
        let tokenizer = tiny(variant);
        for train_on in [TrainOn::LastAnswer, TrainOn::EveryAnswer] {
            let config = DataConfig { train_on: Some(train_on), ..DataConfig::default() };
            let mut all = Vec::new();
            for (format, value) in same_dialogue() {
                let rows = rows(&[value]);
                let (samples, report) = train_rows(&rows, &tokenizer, &config).unwrap();
                assert_eq!(report.format, Some(format));
                assert_eq!((report.rows_used, report.samples), (1, samples.len()));
                all.push((format, samples, eval_rows(&rows, &tokenizer, &config).unwrap().0));
            }
            let separate = variant == Variant::ChatGlm2 && train_on == TrainOn::EveryAnswer;
            assert_eq!(all[0].1.len(), if separate { 3 } else { 1 });
            assert_eq!(all[0].2.len(), if train_on == TrainOn::EveryAnswer { 3 } else { 1 });
            for (format, samples, asked) in &all[1..] {
                assert_eq!((samples, asked), (&all[0].1, &all[0].2), "{format:?}");
            }
        }
    }
}

#[test]
fn lists_in_csv_are_json_texts() {
    let (_, value) = same_dialogue().remove(4);
    let list = value["conversations"].to_string().replace('"', "\"\"");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rows.csv");
    std::fs::write(&file, format!("id,conversations\n1,\"{list}\"\n")).unwrap();
    let from_csv = read_rows(&file, false).unwrap();
    let (tokenizer, config) = (tiny(Variant::ChatGlm2), DataConfig::default());
    let (ours, report) = train_rows(&from_csv, &tokenizer, &config).unwrap();
    assert_eq!(report.format, Some(Format::ShareGpt));
    assert_eq!(ours, train_rows(&rows(&[value]), &tokenizer, &config).unwrap().0);
}

#[test]
fn named_columns_win_over_what_would_be_recognised() {
    let value = json!({"instruction": "甲", "output": "乙", "q": "丙", "a": "丁", "messages": []});
    let config =
        DataConfig { prompt_column: Some("q".into()), response_column: Some("a".into()), ..DataConfig::default() };
    let rows = rows(&[value]);
    let (asked, report) = eval_rows(&rows, &tiny(Variant::ChatGlm2), &config).unwrap();
    assert_eq!((asked[0].query.as_str(), asked[0].answer.as_str()), ("丙", "丁"));
    assert_eq!(report.layout, "question and answer columns: \"q\" and \"a\"");
    let forced = DataConfig { format: Some(Format::Alpaca), ..DataConfig::default() };
    let (asked, _) = eval_rows(&rows, &tiny(Variant::ChatGlm2), &forced).unwrap();
    assert_eq!((asked[0].query.as_str(), asked[0].answer.as_str()), ("甲", "乙"));
    for contradiction in [
        DataConfig { format: Some(Format::Messages), ..config.clone() },
        DataConfig { history_column: Some("h".into()), ..DataConfig::default() },
    ] {
        let error = Layout::of(&rows, &contradiction).unwrap_err();
        assert!(matches!(error, DataError::Config(_)) && error.to_string().contains("leave"), "{error}");
    }
}

#[test]
fn instruction_and_input_are_joined_as_configured() {
    let row = |input: Value| json!({"instruction": " 译 ", "input": input, "output": "好"});
    let values =
        [row(json!(" 早 ")), row(json!(" \t\n")), row(Value::Null), json!({"instruction": " 译 ", "output": "好"})];
    for (join, expected) in [
        (AlpacaJoin::Newline, [" 译 \n 早 ", " 译 ", " 译 ", " 译 "]),
        (AlpacaJoin::Nothing, [" 译  早 ", " 译  \t\n", " 译 ", " 译 "]),
    ] {
        let config = DataConfig { alpaca_join: join, ..DataConfig::default() };
        let (asked, _) = eval_rows(&rows(&values), &tiny(Variant::ChatGlm2), &config).unwrap();
        assert_eq!(asked.iter().map(|row| row.query.as_str()).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_row_that_is_left_out_may_be_broken_otherwise() {
    let row = |output: &str| json!({"instruction": "问", "output": output, "history": [["一"]], "system": 3});
    let config = DataConfig { history_column: Some("history".into()), ..DataConfig::default() };
    let good = json!({"instruction": "问", "output": "答", "history": []});
    let (samples, report) = train_rows(&rows(&[row(""), good.clone()]), &tiny(Variant::ChatGlm2), &config).unwrap();
    assert_eq!((samples.len(), report.dropped_empty), (1, 1));
    let error = train_rows(&rows(&[row("答"), good]), &tiny(Variant::ChatGlm2), &config).unwrap_err();
    assert!(error.to_string().contains("\"history\": expected [[question, answer], …]"), "{error}");
}

/// Rows that are no dialogue, and what the message must hold.
fn broken() -> Vec<(Value, Vec<&'static str>)> {
    let said = |role: &str| json!({"role": role, "content": "字"});
    let roles = |roles: &[&str]| json!({"messages": roles.iter().map(|role| said(role)).collect::<Vec<_>>()});
    let share = |from: &[&str]| json!({"conversations": from.iter().map(|from| json!({"from": from, "value": "字"})).collect::<Vec<_>>()});
    vec![
        (roles(&[]), vec!["empty list"]),
        (
            roles(&["assistant", "user"]),
            vec!["message 1", "expected a message of the system or the user", "the assistant"],
        ),
        (roles(&["system", "assistant"]), vec!["message 2", "expected a message of the user"]),
        (roles(&["user", "user", "assistant"]), vec!["message 2", "expected a message of the assistant", "the user"]),
        (roles(&["user", "assistant", "assistant"]), vec!["message 3", "expected a message of the user"]),
        (roles(&["user", "assistant", "user"]), vec!["last message", "assistant"]),
        (roles(&["user", "assistant", "system", "user", "assistant"]), vec!["message 3"]),
        (roles(&["user", "observation"]), vec!["message 2", "the assistant"]),
        (roles(&["user", "robot"]), vec!["message 2", "\"role\"", "\"robot\"", "observation or tool"]),
        (json!({"messages": {"role": "user"}}), vec!["\"messages\"", "expected a list", "an object"]),
        (json!({"messages": ["早"]}), vec!["message 1", "expected an object", "a text"]),
        (json!({"messages": [{"role": "user"}]}), vec!["message 1", "expected \"content\"", "\"role\""]),
        (json!({"messages": [{"role": "user", "content": ["早"]}]}), vec!["message 1", "\"content\"", "a list"]),
        (json!({"messages": [{"role": "user", "content": "早", "loss": "no"}]}), vec!["\"loss\"", "a text"]),
        (json!({"messages": [{"role": "user", "content": "早", "weight": 0.5}]}), vec!["\"weight\"", "0.5"]),
        (share(&["gpt", "human"]), vec!["message 1", "the assistant"]),
        (share(&["human", "alien"]), vec!["message 2", "\"from\"", "\"alien\""]),
        (json!({"conversations": [{"from": "human", "value": 3}]}), vec!["\"value\"", "the number 3"]),
        (json!({"conversations": "[1"}), vec!["\"conversations\"", "not JSON"]),
        (json!({"conversations": [{"role": "user"}], "tools": 3}), vec!["\"tools\"", "the number 3"]),
        (json!({"instruction": "甲", "input": 3, "output": "乙"}), vec!["\"input\"", "the number 3"]),
        (json!({"instruction": "甲", "output": null}), vec!["\"output\"", "null"]),
        (json!({"instruction": "甲", "output": "乙", "history": [["丙"]]}), vec!["\"history\"", "1 entries"]),
        (json!({"prompt": "甲", "response": 1}), vec!["\"response\"", "the number 1"]),
    ]
}

#[test]
fn broken_rows_say_line_message_and_expectation() {
    let tokenizer = tiny(Variant::ChatGlm3);
    for (row, expected) in broken() {
        let config = DataConfig { format: format_of(&row), ..DataConfig::default() };
        let rows = rows(std::slice::from_ref(&row));
        let message = train_rows(&rows, &tokenizer, &config).unwrap_err().to_string();
        for part in ["rows.json line 1: "].iter().chain(&expected) {
            assert!(message.contains(part), "{message:?} lacks {part:?} for {row}");
        }
        let lenient = DataConfig { lenient: true, ..config };
        match train_rows(&rows, &tokenizer, &lenient) {
            Err(DataError::NoRows { summary, .. }) => assert!(summary.contains("1 broken"), "{summary}"),
            other => panic!("{other:?}"),
        }
    }
}

fn format_of(row: &Value) -> Option<Format> {
    Layout::of(&rows(std::slice::from_ref(row)), &DataConfig::default()).ok().map(|layout| layout.format)
}

#[test]
fn unknown_columns_are_named_with_what_is_known() {
    let error = |value: Value| {
        train_rows(&rows(&[value]), &tiny(Variant::ChatGlm2), &DataConfig::default()).unwrap_err().to_string()
    };
    let message = error(json!({"frage": "a", "antwort": "b"}));
    assert!(message.contains("\"antwort\"") && message.contains("prompt_column"), "{message}");
    let message = error(json!({"instruction": "a", "outptu": "b"}));
    assert!(message.contains("no column \"output\"") && message.contains("did you mean \"outptu\""), "{message}");
}

#[test]
fn tools_are_refused_where_the_variant_has_no_form_for_them() {
    let with_tools = [
        json!({"conversations": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
               "tools": [{"name": "f"}]}),
        json!({"conversations": [{"role": "user", "content": "a"},
               {"role": "tool", "name": "f", "parameters": {}, "observation": "1"}, {"role": "assistant", "content": "b"}]}),
        json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "metadata": "f", "content": "b"},
               {"role": "observation", "content": "1"}, {"role": "assistant", "content": "c"}]}),
    ];
    for row in with_tools {
        let rows = rows(&[row]);
        let message = train_rows(&rows, &tiny(Variant::ChatGlm2), &DataConfig::default()).unwrap_err().to_string();
        assert!(message.contains("line 1") && message.contains("tools") && message.contains("ChatGLM2"), "{message}");
        train_rows(&rows, &tiny(Variant::ChatGlm3), &DataConfig::default()).unwrap();
    }
}

#[test]
fn a_system_text_goes_before_the_first_question_where_there_is_no_system_message() {
    let messages = json!([{"role": "system", "content": "你是助手。"}, {"role": "user", "content": "早"},
        {"role": "assistant", "content": "早"}, {"role": "user", "content": "好"}, {"role": "assistant", "content": "好"}]);
    let tokenizer = tiny(Variant::ChatGlm2);
    let (asked, _) = eval_rows(&rows(&[json!({"messages": messages})]), &tokenizer, &DataConfig::default()).unwrap();
    let history = [("早".to_string(), "早".to_string())];
    let expected = glm_data::prompt::prompt_ids(&tokenizer, "好", &history, Some("你是助手。"));
    assert_eq!(asked[0].ids, expected, "asked as in a chat");
}

fn converted(rows: &Rows, config: &DataConfig, to: ConvertTo) -> (String, usize) {
    let mut out = Vec::new();
    let report = convert(rows, config, to, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), report.rows_written)
}

#[test]
fn adgen_becomes_instruct_rows_as_the_official_converter_writes_them() {
    let values = [json!({"content": "类型#裤", "summary": "他说\"好\"\n"}), json!({"content": "", "summary": "x"})];
    let (text, written) = converted(&rows(&values), &DataConfig::default(), ConvertTo::Instruct);
    assert_eq!(
        text,
        "{\"instruction\": \"类型#裤\", \"output\": \"他说\\\"好\\\"\\n\"}\n{\"instruction\": \"\", \"output\": \"x\"}\n"
    );
    assert_eq!(written, 2);
}

#[test]
fn converted_rows_give_the_same_samples() {
    let tokenizer = tiny(Variant::ChatGlm3);
    let config = DataConfig::default();
    for (format, value) in same_dialogue() {
        let original = rows(&[value]);
        let expected = train_rows(&original, &tokenizer, &config).unwrap().0;
        for to in [ConvertTo::Instruct, ConvertTo::Messages] {
            let (text, _) = converted(&original, &config, to);
            let back = rows(&[serde_json::from_str(text.trim_end()).unwrap()]);
            assert_eq!(train_rows(&back, &tokenizer, &config).unwrap().0, expected, "{format:?} to {to:?}");
        }
    }
}

#[test]
fn conversion_keeps_tools_and_untrained_answers_or_says_that_it_cannot() {
    let row = json!({"tools": [{"name": "f", "b": 1, "a": 2}], "conversations": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "loss": false},
        {"role": "tool", "name": "f", "parameters": {"z": "1", "y": null}, "observation": {"t": 20}},
        {"role": "assistant", "content": "c"}]});
    let plain = json!({"conversations": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]});
    let original = rows(&[row, plain]);
    let tokenizer = tiny(Variant::ChatGlm3);
    let config = DataConfig::default();
    let (text, _) = converted(&original, &config, ConvertTo::Messages);
    let values: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let back = train_rows(&rows(&values), &tokenizer, &config).unwrap().0;
    assert_eq!(back, train_rows(&original, &tokenizer, &config).unwrap().0);
    let error = convert(&original, &config, ConvertTo::Instruct, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("line 1") && error.contains("messages instead"), "{error}");
    let lenient = DataConfig { lenient: true, ..config };
    let mut out = Vec::new();
    let report = convert(&original, &lenient, ConvertTo::Instruct, &mut out).unwrap();
    assert_eq!((report.rows_read, report.rows_written, report.skipped.len(), report.skipped[0].line), (2, 1, 1, 1));
}

/// Rows that resemble dialogues, more or less.
fn resembling() -> impl Strategy<Value = Value> {
    let role = prop::sample::select(vec!["system", "user", "assistant", "tool", "observation", "human", "gpt", "x"]);
    let content =
        prop_oneof![Just(Value::Null), ".{0,4}".prop_map(Value::from), Just(json!([1])), Just(json!({"a": 1.5}))];
    let keys = prop::sample::select(vec!["content", "value", "name", "parameters", "observation", "metadata", "loss"]);
    let message =
        (role, prop::bool::ANY, prop::collection::vec((keys, content.clone()), 0..4)).prop_map(|(role, from, rest)| {
            let mut message = json!({(if from { "from" } else { "role" }): role, "content": "字", "value": "字"});
            rest.into_iter().for_each(|(key, value)| message[key] = value);
            message
        });
    let list = prop::collection::vec(message, 0..6).prop_map(Value::from);
    let column =
        prop::sample::select(vec!["messages", "conversations", "tools", "history", "input", "prompt", "instruction"]);
    prop::collection::vec((column, prop_oneof![list, content]), 1..4)
        .prop_map(|columns| columns.into_iter().map(|(name, value)| (name.to_string(), value)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_row_panics(values in prop::collection::vec(resembling(), 1..4), lenient in any::<bool>(), compat in any::<bool>()) {
        let config = DataConfig { lenient, compat, max_source_length: 24, max_target_length: 3, ..DataConfig::default() };
        for variant in [Variant::ChatGlm2, Variant::ChatGlm3] {
            let (rows, tokenizer) = (rows(&values), tiny(variant));
            if let Ok((samples, report)) = train_rows(&rows, &tokenizer, &config) {
                prop_assert_eq!(report.samples, samples.len());
                prop_assert!(samples.iter().all(|row| row.ids.len() == row.labels.len()));
                prop_assert!(compat || samples.iter().all(|row| row.ids.len() <= 24 + 2 + 3 + 1 + 8));
            }
            let _ = eval_rows(&rows, &tokenizer, &config);
        }
    }
}
