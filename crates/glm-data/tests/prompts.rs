//! Prompts of all variants against the official tokenizer class and chat functions.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod common;

use common::{cases, chatglm, chatglm3, ids, list, text};
use glm_data::prompt::chatglm2::{build_prompt, continue_ids, process_response};
use glm_data::prompt::chatglm3::{parse_response, prompt_ids, single_message_ids};
use glm_data::prompt::{Message, Role};
use glm_data::{Turn, Variant, prompt};
use glm_testkit::{fixture, json};
use serde::de::IgnoredAny;
use serde_json::{Deserializer, Value};

fn turns(history: &Value) -> Vec<Turn> {
    let turn = |t: &Value| (text(&t[0]).to_string(), text(&t[1]).to_string());
    history.as_array().unwrap().iter().map(turn).collect()
}

#[test]
fn prompts_and_their_continuations() {
    for (folder, tokenizer) in cases() {
        let golden = json(&format!("{folder}/prompts.json"));
        for entry in list(&golden, "prompts") {
            let (query, history) = (text(&entry["query"]), turns(&entry["history"]));
            let built = build_prompt(query, &history);
            assert_eq!(built, text(&entry["prompt"]), "{folder}");
            assert_eq!(Some(&built), prompt::build_prompt(tokenizer.variant(), query, &history).as_ref());
            assert_eq!(tokenizer.encode_prompt(&built), ids(&entry["ids"]), "{folder}: {built:?}");
            let continued = continue_ids(&tokenizer, query, history.len());
            assert_eq!(continued, ids(&entry["stream_ids"]), "{folder}: {built:?}");
            assert_eq!(prompt::continue_ids(&tokenizer, query, history.len()), Some(continued));
            assert_eq!(prompt::prompt_ids(&tokenizer, query, &history, None), ids(&entry["ids"]));
        }
    }
}

#[test]
fn answers_as_they_are_shown() {
    for (folder, tokenizer) in cases() {
        for entry in list(&json(&format!("{folder}/prompts.json")), "process_response") {
            let response = text(&entry["response"]);
            assert_eq!(process_response(response), text(&entry["processed"]), "{folder}: {response:?}");
            let shown = prompt::process_response(tokenizer.variant(), response);
            assert_eq!(shown, text(&entry["processed"]));
        }
    }
    assert_eq!(process_response("\u{1c}\u{a0} 好 \u{3000}\u{1f}\n"), "好");
}

#[test]
fn padded_batches_hold_our_unpadded_ids() {
    for (folder, tokenizer) in cases() {
        let golden = json(&format!("{folder}/prompts.json"))["padding"].clone();
        if golden.is_null() {
            eprintln!("{folder}: no padding goldens");
            continue;
        }
        let texts = list(&golden, "texts");
        assert_eq!(tokenizer.encode_prompt(text(&texts[0])), ids(&golden["single_no_padding"]["input_ids"]));
        for (i, string) in texts.iter().enumerate() {
            let row = |batch: &str, key: &str| ids(&golden[batch][key][i]);
            let (padded, mask) = (row("batch_padding_true", "input_ids"), row("batch_padding_true", "attention_mask"));
            let start = mask.iter().position(|&m| m == 1).unwrap();
            let ours = tokenizer.encode_prompt(text(string));
            assert_eq!(ours, padded[start..], "{string}");
            assert!(padded[..start].iter().all(|&id| id == tokenizer.pad_id()));
            let positions: Vec<u32> = (0..ours.len() as u32).collect();
            assert_eq!(positions, row("batch_padding_true", "position_ids")[start..]);
            let truncated = row("batch_truncation_8", "input_ids");
            assert!(truncated.ends_with(&ours[..ours.len().min(truncated.len())]), "{string}");
        }
    }
}

#[test]
fn chatglm_wraps_only_with_history() {
    let tokenizer = chatglm(0);
    for entry in list(&json("glm1-tokenizer/prompts.json"), "chat_prompts") {
        let (query, history) = (text(&entry["query"]), turns(&entry["history"]));
        let expected = text(&entry["prompt"]);
        assert_eq!(prompt::build_prompt(Variant::ChatGlm, query, &history).as_deref(), Some(expected));
        assert_eq!(prompt::prompt_ids(&tokenizer, query, &history, None), tokenizer.encode_prompt(expected));
        assert_eq!(prompt::continue_ids(&tokenizer, query, history.len()), None);
        if !history.is_empty() {
            assert_eq!(prompt::chatglm::build_rounds(query, &history), expected);
        }
    }
    assert_eq!(prompt::chatglm::build_rounds("问", &[]), "[Round 0]\n问：问\n答：");
}

#[test]
fn chatglm_answers_as_they_are_shown() {
    for entry in list(&json("glm1-tokenizer/prompts.json"), "process_response") {
        let response = text(&entry["response"]);
        assert_eq!(prompt::process_response(Variant::ChatGlm, response), text(&entry["processed"]), "{response:?}");
    }
}

#[test]
fn chatglm_padded_batches_hold_our_unpadded_ids() {
    let tokenizer = chatglm(0);
    let golden = json("glm1-tokenizer/prompts.json")["padding"].clone();
    let texts = list(&golden, "texts");
    let specials = tokenizer.prompt_specials();
    assert_eq!(tokenizer.encode_prompt(text(&texts[0])), ids(&golden["single_no_padding"]["input_ids"]));
    for (i, string) in texts.iter().enumerate() {
        let ours = tokenizer.encode_prompt(text(string));
        let padded = ids(&golden["batch_padding_true"]["input_ids"][i]);
        let (pads, real) = padded.split_at(padded.len() - ours.len());
        assert_eq!(real, ours, "{string}");
        assert!(pads.iter().all(|&id| id == tokenizer.pad_id()));
        let cut = ids(&golden["batch_truncation_8"]["input_ids"][i]);
        let kept = tokenizer.encode(text(string));
        let kept = &kept[..kept.len().min(cut.len() - specials.len())];
        assert!(cut.ends_with(&[kept, &specials].concat()), "{string}");
    }
    let [a, b] = ["a", "b"].map(|key| text(&golden["pair"][key]));
    let pair = [tokenizer.encode_prompt(a), tokenizer.encode(b), vec![tokenizer.eos_id()]].concat();
    assert_eq!(pair, ids(&golden["pair"]["ids"]));
}

/// The `tools` of a golden as they stand in the file; a parsed object would lose the order of their keys.
fn tools_texts(file: &str) -> Vec<String> {
    let source = std::fs::read_to_string(fixture(file)).unwrap();
    let value = |after: &str| {
        let mut values = Deserializer::from_str(after).into_iter::<IgnoredAny>();
        values.next().unwrap().unwrap();
        after[..values.byte_offset()].to_string()
    };
    source.split("\"tools\":").skip(1).map(value).collect()
}

fn message(entry: &Value, content: &str, tools: &mut impl Iterator<Item = String>) -> Message {
    let role = serde_json::from_value(entry["role"].clone()).unwrap();
    let mut message = Message::new(role, text(&entry[content]));
    message.metadata = entry["metadata"].as_str().unwrap_or_default().into();
    if !entry["tools"].is_null() {
        message.content = prompt::with_tools(&message.content, &tools.next().unwrap()).unwrap();
    }
    message
}

#[test]
fn chatglm3_messages_and_conversations() {
    let Some(tokenizer) = chatglm3() else { return };
    let file = "glm3-tokenizer/prompts.json";
    let golden = json(file);
    let mut tools = tools_texts(file).into_iter();
    let mut compared = 0;
    for entry in list(&golden, "single") {
        let message = message(entry, "message", &mut tools);
        assert_eq!(single_message_ids(&tokenizer, &message), ids(&entry["ids"]), "{message:?}");
    }
    for entry in list(&golden, "chat") {
        let history = entry["history"].as_array().unwrap();
        let mut messages: Vec<Message> = history.iter().map(|m| message(m, "content", &mut tools)).collect();
        messages.push(message(entry, "query", &mut tools));
        let expected = ids(&entry["input_ids"]);
        assert_eq!(prompt_ids(&tokenizer, &messages), expected, "{messages:?}");

        // The same conversation as turns, where it is one.
        let system = (messages[0].role == Role::System).then(|| messages.remove(0).content);
        let plain = |m: &Message, role| m.role == role && m.metadata.is_empty();
        if !messages.chunks(2).all(|r| plain(&r[0], Role::User) && r.get(1).is_none_or(|a| plain(a, Role::Assistant))) {
            continue;
        }
        let Some((last, past)) = messages.split_last() else { continue };
        let turns: Vec<Turn> = past.chunks(2).map(|r| (r[0].content.clone(), r[1].content.clone())).collect();
        assert_eq!(prompt::prompt_ids(&tokenizer, &last.content, &turns, system.as_deref()), expected);
        if system.is_none() {
            let continued = prompt::continue_ids(&tokenizer, &last.content, turns.len()).unwrap();
            assert!(expected.ends_with(&continued));
            assert_eq!(continued == expected, turns.is_empty());
            compared += 1;
        }
    }
    assert!(compared > 0, "no golden is a conversation of turns");
    assert_eq!(tools.next(), None, "every list of tools was used");
}

#[test]
fn chatglm3_answers_are_messages() {
    let shown = |response: &str| prompt::process_response(Variant::ChatGlm3, response);
    assert_eq!(shown("\n  [[训练时间]]的你好 \n"), "2023年的你好");
    assert_eq!(shown("没有换行"), "没有换行");
    assert_eq!(shown(""), "");
    let call = "\n我来查<|assistant|>get_weather\n ```python\ntool_call(city='北京')\n```";
    let messages = parse_response(call);
    assert_eq!(messages[0], Message::new(Role::Assistant, "我来查"));
    assert_eq!((&*messages[1].metadata, &messages[1].content[..11]), ("get_weather", " ```python\n"));
    assert_eq!(shown(call), "get_weather\n ```python\ntool_call(city='北京')\n```");
}

#[test]
fn a_system_text_goes_before_the_first_question_where_there_is_no_role_for_it() {
    for (_, tokenizer) in cases() {
        let turns = vec![("问一".to_string(), "答一".to_string())];
        let joined = vec![("系统问一".to_string(), "答一".to_string())];
        let plain = |query, turns: &[Turn]| prompt::prompt_ids(&tokenizer, query, turns, None);
        assert_eq!(prompt::prompt_ids(&tokenizer, "问二", &turns, Some("系统")), plain("问二", &joined));
        assert_eq!(prompt::prompt_ids(&tokenizer, "问二", &[], Some("系统")), plain("系统问二", &[]));
    }
}
