//! ChatGLM-6B: ids and labels of its `ptuning/` script and of the ChatGLM-Tuning scripts, and where ours differs on purpose.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod common;

use common::{chatglm, ids, labels, list, optional, rows, text};
use glm_data::{DataConfig, IGNORE_INDEX, Positions, eval_rows, train_rows};
use glm_testkit::json;
use serde_json::{Value, json};

fn size(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn config(case: &Value) -> DataConfig {
    DataConfig {
        prompt_column: Some(text(&case["prompt_column"]).into()),
        response_column: Some(text(&case["response_column"]).into()),
        history_column: case["history_column"].as_str().map(Into::into),
        max_source_length: size(&case["max_source_length"]),
        max_target_length: size(&case["max_target_length"]),
        compat: true,
        ..DataConfig::default()
    }
}

fn preprocess_cases() -> Vec<Value> {
    let mut goldens = vec![json("glm1-tokenizer/preprocess.json")];
    goldens.extend(optional("glm1-tokenizer/preprocess-adgen.json"));
    goldens.iter().flat_map(|golden| list(golden, "cases").to_vec()).collect()
}

#[test]
fn compat_training_rows_equal_the_official_script() {
    let tokenizer = chatglm(0);
    for case in preprocess_cases() {
        let (ours, report) = train_rows(&rows(list(&case, "rows")), &tokenizer, &config(&case)).unwrap();
        let golden = &case["train"];
        assert_eq!(ours.len(), list(golden, "input_ids").len());
        assert_eq!((report.rows_used, report.samples), (ours.len(), ours.len()));
        for (i, row) in ours.iter().enumerate() {
            let (padded, padded_labels) = (ids(&golden["input_ids"][i]), labels(&golden["labels"][i]));
            let (real, tail) = padded.split_at(row.ids.len());
            assert_eq!(row.ids, real, "row {i}");
            assert_eq!(row.labels, padded_labels[..real.len()], "row {i}");
            assert!(tail.iter().all(|&id| id == tokenizer.pad_id()), "row {i}");
            assert!(padded_labels[real.len()..].iter().all(|&label| label == IGNORE_INDEX), "row {i}");
            assert_eq!(row.labels[row.context_len], i64::from(tokenizer.sop_id()), "row {i}");
            assert!(row.labels[..row.context_len].iter().all(|&label| label == IGNORE_INDEX), "row {i}");
            assert_eq!(row.positions.context_len(), row.context_len, "row {i}");
        }
    }
}

#[test]
fn compat_rows_to_generate_for_equal_the_official_script() {
    let tokenizer = chatglm(0);
    for case in preprocess_cases() {
        let (ours, _) = eval_rows(&rows(list(&case, "rows")), &tokenizer, &config(&case)).unwrap();
        let golden = &case["eval"];
        assert_eq!(ours.len(), list(golden, "input_ids").len());
        for (i, row) in ours.iter().enumerate() {
            let padded = ids(&golden["input_ids"][i]);
            let start = padded.iter().position(|&id| id != tokenizer.pad_id()).unwrap();
            assert_eq!(row.ids, padded[start..], "row {i}");
            assert_eq!(row.label_ids, ids(&golden["labels"][i]), "row {i}");
            let positions = Positions::of_padded(&tokenizer, &row.ids).unwrap();
            for (axis, expected) in golden["position_ids"][i].as_array().unwrap().iter().enumerate() {
                let found: Vec<u32> = (0..row.ids.len()).map(|place| positions.at(place)[axis]).collect();
                assert_eq!(found, ids(expected)[start..], "row {i}");
            }
        }
    }
}

#[test]
fn instruct_rows_equal_the_chatglm_tuning_scripts() {
    let tokenizer = chatglm(0);
    for case in list(&json("glm1-tokenizer/instruct.json"), "cases") {
        let config = DataConfig {
            max_source_length: size(&case["max_input_length"]),
            max_target_length: size(&case["max_output_length"]),
            compat: true,
            ..DataConfig::default()
        };
        let (ours, report) = train_rows(&rows(list(case, "rows")), &tokenizer, &config).unwrap();
        assert!(report.layout.contains("alpaca"), "{}", report.layout);
        let golden = list(case, "out");
        assert_eq!(ours.len(), golden.len());
        for (i, (row, expected)) in ours.iter().zip(golden).enumerate() {
            assert_eq!(row.ids, ids(&expected["input_ids"]), "row {i}");
            assert_eq!(row.labels, labels(&expected["labels"]), "row {i}");
        }
        // The collator puts the longest row first; packed batches need no order, but hold the same rows.
        let collated = &case["collated_first_4"];
        let mut first: Vec<_> = ours[..list(collated, "input_ids").len()].iter().collect();
        first.sort_by_key(|row| std::cmp::Reverse(row.ids.len()));
        for (row, (padded, padded_labels)) in
            first.iter().zip(list(collated, "input_ids").iter().zip(list(collated, "labels")))
        {
            assert_eq!(row.ids, ids(padded)[..row.ids.len()]);
            assert_eq!(row.labels, labels(padded_labels)[..row.ids.len()]);
        }
    }
}

#[test]
fn rows_that_fit_are_the_same_without_compat() {
    let tokenizer = chatglm(0);
    for case in preprocess_cases() {
        let rows = rows(list(&case, "rows"));
        let official = config(&case);
        let (theirs, _) = train_rows(&rows, &tokenizer, &official).unwrap();
        let ours = DataConfig { compat: false, ..official.clone() };
        let (ours, report) = train_rows(&rows, &tokenizer, &ours).unwrap();
        let mut same = 0;
        for (their, our) in theirs.iter().zip(&ours) {
            let source = &case["rows"][our.source];
            let names_specials = source.to_string().contains("[MASK]") || source.to_string().contains("<sop>");
            let wrapped = official.history_column.is_some() && source["history"].as_array().unwrap().is_empty();
            let text = their.context_len - 1;
            let answer = their.ids.len() - their.context_len - 2;
            let fits = text < official.max_source_length - 1 && answer < official.max_target_length - 2;
            if fits && !names_specials && !wrapped {
                assert_eq!(their, our);
                same += 1;
            }
        }
        assert!(same > 0 || report.prompts_cut + report.answers_cut > 0);
    }
}

#[test]
fn special_tokens_in_texts_are_characters_unless_compat() {
    let tokenizer = chatglm(0);
    let rows = rows(&[json!({"content": "[MASK]与<sop>", "summary": "有<eop>与[gMASK]"})]);
    let (ours, _) = train_rows(&rows, &tokenizer, &DataConfig::default()).unwrap();
    let count = |id: u32| ours[0].ids.iter().filter(|&&i| i == id).count();
    let [gmask, sop] = tokenizer.prompt_specials();
    assert_eq!([count(gmask), count(sop), count(tokenizer.eos_id()), count(tokenizer.mask_id())], [1, 1, 1, 0]);
    let compat = DataConfig { compat: true, ..DataConfig::default() };
    let (official, _) = train_rows(&rows, &tokenizer, &compat).unwrap();
    let first = official[0].ids.iter().position(|&id| id == sop).unwrap();
    assert_eq!(official[0].context_len, first.max(1), "the network masks from the first <sop> on, and so do labels");
    assert!(official[0].ids.contains(&tokenizer.mask_id()));
}

#[test]
fn an_empty_history_is_wrapped_in_training_only_with_compat() {
    let tokenizer = chatglm(0);
    let values = [
        json!({"prompt": "问", "response": "好", "history": []}),
        json!({"prompt": "问", "response": "好", "history": [["早", "早"]]}),
    ];
    let rows = rows(&values);
    for compat in [false, true] {
        let config = DataConfig { compat, ..DataConfig::default() };
        let (trained, report) = train_rows(&rows, &tokenizer, &config).unwrap();
        assert!(report.layout.contains("history in \"history\""), "{}", report.layout);
        let (asked, _) = eval_rows(&rows, &tokenizer, &config).unwrap();
        let prompt = |i: usize| tokenizer.decode(&trained[i].ids[..trained[i].context_len - 1]);
        assert_eq!(prompt(0), if compat { "[Round 0]\n问:问\n答:" } else { "问" });
        assert_eq!(prompt(1), "[Round 0]\n问:早\n答:早\n[Round 1]\n问:问\n答:");
        let same = |i: usize| asked[i].ids == trained[i].ids[..=trained[i].context_len];
        assert_eq!((same(0), same(1)), (!compat, true));
    }
}

#[test]
fn long_rows_keep_the_end_of_the_template_and_teach_no_early_end() {
    let tokenizer = chatglm(0);
    let long = "春天来了，花都开了。".repeat(30);
    let values = [json!({"prompt": long, "response": long, "history": [["早", "早"], ["在吗", "在"]]})];
    let config = DataConfig { max_source_length: 64, max_target_length: 32, ..DataConfig::default() };
    let (ours, report) = train_rows(&rows(&values), &tokenizer, &config).unwrap();
    let row = &ours[0];
    assert!(row.context_len <= 64 && row.context_len > 56, "{}", row.context_len);
    assert_eq!(row.ids.len(), row.context_len + 1 + 32, "sop and the answer, without end");
    assert_ne!(row.ids.last(), Some(&tokenizer.eos_id()));
    assert_eq!((report.prompts_cut, report.answers_cut, report.supervised_tokens), (1, 1, 33));
    let (asked, _) = eval_rows(&rows(&values), &tokenizer, &config).unwrap();
    assert_eq!(asked[0].ids, row.ids[..=row.context_len]);
    assert!(!asked[0].reference.contains("MASK"), "{}", asked[0].reference);
}

#[test]
fn padding_is_trained_when_asked_as_officially() {
    let tokenizer = chatglm(0);
    let rows = rows(&[json!({"content": "问", "summary": "好"})]);
    let config = DataConfig {
        max_source_length: 24,
        max_target_length: 16,
        compat: true,
        ignore_pad_token_for_loss: false,
        ..DataConfig::default()
    };
    let (padded, _) = train_rows(&rows, &tokenizer, &config).unwrap();
    let row = &padded[0];
    assert_eq!((row.ids.len(), row.labels.len()), (40, 40));
    assert!(row.labels[..row.context_len].iter().all(|&label| label == IGNORE_INDEX), "the prompt is not");
    let end = row.ids.iter().position(|&id| id == tokenizer.eos_id()).unwrap() + 1;
    assert!(row.ids[end..].iter().all(|&id| id == tokenizer.pad_id()));
    assert!(row.labels[end..].iter().all(|&label| label == i64::from(tokenizer.pad_id())));
}
