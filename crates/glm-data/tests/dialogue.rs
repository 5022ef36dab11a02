//! ChatGLM3-6B's samples, every answer of a dialogue, and dialogues that are too long.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod common;

use common::{chatglm, chatglm3, ids, list, rows, rows_of, text, tiny};
use glm_data::prompt::{Message, Role, chatglm3 as template, prompt_ids};
use glm_data::{
    DataConfig, DataError, IGNORE_INDEX, Json, OnOverflow, Tokenizer, TrainOn, Variant, eval_rows, train_rows,
};
use glm_testkit::json;
use serde_json::{Value, json};

#[test]
fn prompts_equal_the_official_chat() {
    let Some(tokenizer) = chatglm3() else { return eprintln!("skipped: no real vocabulary") };
    // Names keep their order only in our own values.
    let goldens = std::fs::read_to_string(glm_testkit::fixture("glm3-tokenizer/prompts.json")).unwrap();
    let goldens: Json = serde_json::from_str(&goldens).unwrap();
    let Some(Json::List(cases)) = goldens.get("chat") else { panic!("no list of chats") };
    let mut compared = 0;
    for (case, golden) in cases.iter().zip(list(&json("glm3-tokenizer/prompts.json"), "chat")) {
        let (query, role) = (text(&golden["query"]), text(&golden["role"]));
        // Rows with an empty question, or one of the system, are no samples.
        if query.is_empty() || role == "system" {
            continue;
        }
        let history = serde_json::to_string(case.get("history").unwrap()).unwrap();
        let separator = if golden["history"].as_array().unwrap().is_empty() { "" } else { "," };
        let last =
            format!("{},{}", json!({"role": role, "content": query}), json!({"role": "assistant", "content": "好"}));
        let line = format!("{{\"messages\": {}{separator}{last}]}}", history.strip_suffix(']').unwrap());
        let config = DataConfig { train_on: Some(TrainOn::LastAnswer), ..DataConfig::default() };
        let rows = rows_of(&line);
        let (asked, _) = eval_rows(&rows, &tokenizer, &config).unwrap();
        assert_eq!(asked[0].ids, ids(&golden["input_ids"]), "{query}");
        let (trained, _) = train_rows(&rows, &tokenizer, &config).unwrap();
        assert_eq!(trained[0].ids[..asked[0].ids.len()], asked[0].ids, "{query}");
        compared += 1;
    }
    assert!(compared > 5);
}

/// Ids and labels of messages with a flag, by the rule of the official script: what follows a token of a trained message
/// is a target.
fn derived(tokenizer: &Tokenizer, messages: &[(Message, bool)]) -> (Vec<u32>, Vec<i64>) {
    let (mut ids, mut flags) = (tokenizer.prompt_specials().to_vec(), vec![false; 2]);
    for (message, trained) in messages {
        ids.extend(template::single_message_ids(tokenizer, message));
        flags.resize(ids.len(), *trained);
    }
    ids.push(tokenizer.eos_id());
    let labels = ids.iter().enumerate();
    let labels = labels.map(|(i, &id)| if i > 0 && flags[i - 1] { i64::from(id) } else { IGNORE_INDEX }).collect();
    (ids, labels)
}

#[test]
fn a_dialogue_is_one_sample_with_the_official_mask() {
    let call = "```python\ntool_call(城市='北京', n=[1, None])\n```";
    let row = r#"{
        "tools": [{"name": "天气", "parameters": {"type": "object"}}],
        "conversations": [
            {"role": "system", "content": "简短回答"},
            {"role": "user", "content": "早"},
            {"role": "assistant", "content": "早上好", "loss": false},
            {"role": "user", "content": "北京天气"},
            {"role": "assistant", "content": "查一下"},
            {"role": "tool", "name": "天气", "parameters": {"城市": "北京", "n": [1, null]}, "observation": {"度": 20}},
            {"role": "assistant", "content": "二十度"}
        ]
    }"#;
    let described = "Answer the following questions as best as you can. You have access to the following tools:\n[\n    {\n        \
                     \"name\": \"天气\",\n        \"parameters\": {\n            \"type\": \"object\"\n        }\n    }\n]";
    let said = |role: Role, content: &str, trained: bool| (Message::new(role, content), trained);
    let called = Message { metadata: "天气".into(), ..Message::new(Role::Assistant, call) };
    let messages = [
        said(Role::System, described, false),
        said(Role::System, "简短回答", false),
        said(Role::User, "早", false),
        said(Role::Assistant, "早上好", false),
        said(Role::User, "北京天气", false),
        said(Role::Assistant, "查一下", true),
        (called, true),
        said(Role::Observation, "{\"度\": 20}", false),
        said(Role::Assistant, "二十度", true),
    ];
    let mut all = vec![tiny(Variant::ChatGlm3)];
    all.extend(chatglm3());
    for tokenizer in all {
        for compat in [false, true] {
            let config = DataConfig { compat, max_source_length: 4096, ..DataConfig::default() };
            let (ours, report) = train_rows(&rows_of(row), &tokenizer, &config).unwrap();
            let (ids, labels) = derived(&tokenizer, &messages);
            assert_eq!((&ours[0].ids, &ours[0].labels), (&ids, &labels), "compat {compat}");
            assert_eq!(report.supervised_tokens, labels.iter().filter(|&&label| label != IGNORE_INDEX).count());
            let last = DataConfig { train_on: Some(TrainOn::LastAnswer), ..config };
            let (ours, _) = train_rows(&rows_of(row), &tokenizer, &last).unwrap();
            let only_last: Vec<_> =
                messages.iter().enumerate().map(|(i, (m, _))| (m.clone(), i + 1 == messages.len())).collect();
            assert_eq!((ours[0].ids.clone(), ours[0].labels.clone()), derived(&tokenizer, &only_last));
        }
    }
}

#[test]
fn compat_cuts_a_dialogue_where_the_official_script_does() {
    let tokenizer = tiny(Variant::ChatGlm3);
    let messages: Vec<Value> = (0..8)
        .map(|i| json!({"role": if i % 2 == 0 { "user" } else { "assistant" }, "content": "很长的话".repeat(3)}))
        .collect();
    let rows = rows(&[json!({"conversations": messages})]);
    let roomy = DataConfig { compat: true, max_source_length: 4096, ..DataConfig::default() };
    let whole = train_rows(&rows, &tokenizer, &roomy).unwrap().0.remove(0);
    let tight = DataConfig { max_source_length: 40, max_target_length: 20, ..roomy };
    let (cut, report) = train_rows(&rows, &tokenizer, &tight).unwrap();
    assert_eq!((&cut[0].ids[..], &cut[0].labels[..]), (&whole.ids[..61], &whole.labels[..61]));
    assert_eq!(report.answers_cut, 1);
    // Questions whose prompt reaches the limit are not asked.
    let (asked, _) = eval_rows(&rows, &tokenizer, &tight).unwrap();
    assert!(!asked.is_empty() && asked.len() < 4 && asked.iter().all(|row| row.ids.len() <= 40), "{}", asked.len());
}

#[test]
fn a_dialogue_that_is_too_long_loses_its_oldest_turns_and_is_asked_as_it_is_trained() {
    let tokenizer = tiny(Variant::ChatGlm3);
    let mut messages = vec![json!({"role": "system", "content": "系统"})];
    for i in 0..6 {
        messages.push(json!({"role": "user", "content": format!("问题{i}")}));
        messages.push(json!({"role": "assistant", "content": format!("{i}回答").repeat(4)}));
    }
    let rows = rows(&[json!({"messages": messages})]);
    let single = |i: usize| {
        let role = if i == 0 { Role::System } else { [Role::Assistant, Role::User][i % 2] };
        template::single_message_ids(&tokenizer, &Message::new(role, text(&messages[i]["content"])))
    };
    // Prompts for the last answer with `kept` turns before its question.
    let prompt = |kept: usize| {
        let mut ids = tokenizer.prompt_specials().to_vec();
        ids.extend(single(0));
        ids.extend((11 - 2 * kept..=11).flat_map(single));
        ids.push(tokenizer.role_id(Role::Assistant).unwrap());
        ids
    };
    for limit in prompt(0).len()..=prompt(5).len() {
        let config = DataConfig { max_source_length: limit, max_target_length: 512, ..DataConfig::default() };
        let expected = (0..=5).rev().map(prompt).find(|ids| ids.len() <= limit).unwrap();
        let (ours, report) = train_rows(&rows, &tokenizer, &config).unwrap();
        let row = &ours[0];
        assert_eq!(row.ids[..expected.len()], expected, "limit {limit}");
        assert_eq!(row.ids[expected.len()..row.ids.len() - 1], single(12)[1..], "limit {limit}");
        assert_eq!(report.prompts_cut, usize::from(limit < prompt(5).len()));
        // Every answer that is left is trained, each with what follows it.
        let turns = row.ids.iter().filter(|&&id| Some(id) == tokenizer.role_id(Role::User)).count();
        let starts = row.labels.windows(2).filter(|pair| pair[0] == IGNORE_INDEX && pair[1] != IGNORE_INDEX).count();
        assert_eq!(starts, turns, "limit {limit}");
        let (asked, _) = eval_rows(&rows, &tokenizer, &config).unwrap();
        assert_eq!(asked.last().unwrap().ids, expected, "limit {limit}");
    }
}

#[test]
fn every_answer_of_the_older_models_is_asked_with_its_own_prompt() {
    let turns = [("早", "早上好"), ("有面条吗", "有"), ("来一碗", "好的")];
    let mut messages = Vec::new();
    for (i, (question, answer)) in turns.iter().enumerate() {
        messages.push(json!({"role": "user", "content": question}));
        messages.push(json!({"role": "assistant", "content": answer, "loss": i != 1}));
    }
    let rows = rows(&[json!({"conversations": messages})]);
    for tokenizer in [tiny(Variant::ChatGlm2), chatglm(0)] {
        let config = DataConfig { train_on: Some(TrainOn::EveryAnswer), ..DataConfig::default() };
        let (ours, report) = train_rows(&rows, &tokenizer, &config).unwrap();
        assert_eq!((report.rows_used, report.samples, ours.len()), (1, 2, 2));
        assert!(report.counts().contains("2 samples"), "{}", report.counts());
        for (row, i) in ours.iter().zip([0, 2]) {
            let history: Vec<_> = turns[..i].iter().map(|(q, a)| (q.to_string(), a.to_string())).collect();
            let mut expected = prompt_ids(&tokenizer, turns[i].0, &history, None);
            let prompt = expected.len();
            expected.extend(tokenizer.encode(turns[i].1));
            expected.push(tokenizer.eos_id());
            assert_eq!(row.ids, expected);
            let answer: Vec<i64> = expected[prompt..].iter().map(|&id| i64::from(id)).collect();
            assert_eq!(row.labels[prompt..], answer);
        }
        let (last, _) = train_rows(&rows, &tokenizer, &DataConfig::default()).unwrap();
        assert_eq!(last, ours[1..]);
    }
}

#[test]
fn rows_that_are_too_long_can_be_left_out_or_refused() {
    let values = [
        json!({"content": "问", "summary": "好"}),
        json!({"content": "问".repeat(200), "summary": "好"}),
        json!({"content": "问", "summary": "好".repeat(200)}),
    ];
    for variant in [Variant::ChatGlm2, Variant::ChatGlm3] {
        let tokenizer = tiny(variant);
        let base = DataConfig { max_source_length: 60, max_target_length: 20, ..DataConfig::default() };
        let dropping = DataConfig { on_overflow: OnOverflow::Drop, ..base.clone() };
        let (ours, report) = train_rows(&rows(&values), &tokenizer, &dropping).unwrap();
        assert_eq!((ours.len(), ours[0].source, report.dropped_long), (1, 0, 2));
        assert_eq!((report.prompts_cut, report.answers_cut, &report.long_lines[..]), (0, 0, &[2, 3][..]));
        assert!(report.to_string().contains("too long: 2 (first on lines 2, 3)"), "{report}");
        let refusing = DataConfig { on_overflow: OnOverflow::Error, lenient: true, ..base.clone() };
        let message = train_rows(&rows(&values), &tokenizer, &refusing).unwrap_err().to_string();
        assert!(message.contains("line 2") && message.contains("max_source_length 60"), "{message}");
        assert!(eval_rows(&rows(&values), &tokenizer, &refusing).is_err());
        let contradicting = DataConfig { compat: true, ..refusing };
        assert!(matches!(train_rows(&rows(&values), &tokenizer, &contradicting), Err(DataError::Config(_))));
        assert_eq!(train_rows(&rows(&values), &tokenizer, &base).unwrap().0.len(), 3);
    }
}

#[test]
fn openai_tool_calls_and_sharegpt_calls_are_the_same_as_chatglm3s() {
    let tokenizer = tiny(Variant::ChatGlm3);
    let tools = json!([{"name": "f"}]);
    let forms = [
        json!({"tools": tools, "conversations": [{"role": "user", "content": "a"},
            {"role": "tool", "name": "f", "parameters": {"y": "it's", "x": 1.0}, "observation": "20"},
            {"role": "assistant", "content": "c"}]}),
        json!({"tools": tools, "messages": [{"role": "user", "content": "a"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function",
                "function": {"name": "f", "arguments": "{\"y\": \"it's\", \"x\": 1.0}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "20"},
            {"role": "assistant", "content": "c"}]}),
        json!({"tools": tools.to_string(), "conversations": [{"from": "human", "value": "a"},
            {"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {\"y\": \"it's\", \"x\": 1.0}}"},
            {"from": "observation", "value": "20"}, {"from": "gpt", "value": "c"}]}),
    ];
    // The order of names must be that of the file, which serde_json's own objects do not keep.
    let line = |form: &Value| form.to_string().replace(r#"{"x":1.0,"y":"it's"}"#, r#"{"y":"it's","x":1.0}"#);
    let samples = forms.map(|form| train_rows(&rows_of(&line(&form)), &tokenizer, &DataConfig::default()).unwrap().0);
    assert!(tokenizer.decode(&samples[0][0].ids).contains("tool_call(y=\"it's\", x=1.0)"));
    assert_eq!(samples[0], samples[1]);
    assert_eq!(samples[0], samples[2]);
}

#[test]
fn what_is_empty_is_left_out_and_no_more() {
    let tokenizer = tiny(Variant::ChatGlm3);
    let said = |role: &str, content: &str| json!({"role": role, "content": content});
    let row = |messages: &[Value]| json!({"conversations": messages});
    let start = [said("user", "a"), said("assistant", "b"), said("user", "c")];
    let last_empty = row(&[&start[..], &[said("assistant", "")]].concat());
    let (ours, _) = train_rows(&rows(&[last_empty]), &tokenizer, &DataConfig::default()).unwrap();
    assert_eq!(ours, train_rows(&rows(&[row(&start[..2])]), &tokenizer, &DataConfig::default()).unwrap().0);
    let silent_tool = row(&[
        said("user", "a"),
        json!({"role": "assistant", "metadata": "f", "content": "g"}),
        said("tool", ""),
        said("assistant", "b"),
    ]);
    let (ours, report) = train_rows(&rows(&[silent_tool]), &tokenizer, &DataConfig::default()).unwrap();
    assert_eq!((ours.len(), report.dropped_empty), (1, 0));
    let unwanted = row(&[said("user", "a"), json!({"role": "assistant", "content": "b", "loss": false})]);
    let rows = rows(&[unwanted, row(&start[..2])]);
    let (ours, report) = train_rows(&rows, &tokenizer, &DataConfig::default()).unwrap();
    assert_eq!((ours.len(), ours[0].source, report.untrainable), (1, 1, 1));
}
