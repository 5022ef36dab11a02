//! Prompts of ChatGLM2 against the official tokenizer class and chat functions.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod common;

use common::{cases, ids, list, text};
use glm_data::prompt::chatglm2::{build_prompt, continue_ids, process_response};
use glm_data::{Turn, prompt};
use glm_testkit::json;
use serde_json::Value;

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
