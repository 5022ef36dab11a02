//! Evaluation of a data file: order and form of the predictions, scores, limits, stopping.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use glm_data::{DataConfig, EvalRow, Tokenizer, Variant, eval_rows, read_rows};
use glm_infer::decode::RepetitionRule;
use glm_infer::metric::{Scorer, Summary};
use glm_infer::predictions::{PredictionsReader, score_file};
use glm_infer::{Engine, EvaluateOptions, Evaluation, Finish, GenerationConfig, Request, SpecialIds, evaluate};
use glm_model::adapter::{AdapterSlots, PrefixConfig, PrefixEncoder};
use glm_model::{LoadOptions, Network};
use glm_testkit::{fixture, write_random_base};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

struct Room {
    tokenizer: Tokenizer,
    network: Network,
    rows: Vec<EvalRow>,
    folder: tempfile::TempDir,
}

fn room() -> Room {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = Tokenizer::from_file(&fixture("tiny-tokenizer/tokenizer.model"), Variant::ChatGlm2).unwrap();
    write_random_base(folder.path(), tokenizer.vocab_size() + 3, 11);
    let network = Network::load(folder.path(), LoadOptions::default(), &mut |_, _| {}).unwrap();
    let line = |i: usize| {
        let prompt = "类型#裙*颜色#白".repeat(1 + (5 * i) % 4);
        serde_json::json!({"content": format!("{i} {prompt}"), "summary": format!("第{i}条裙子很好看 .")}).to_string()
    };
    let file = folder.path().join("rows.json");
    std::fs::write(&file, (0..7).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    let config = DataConfig { max_source_length: 64, max_target_length: 16, ..DataConfig::default() };
    let (rows, _) = eval_rows(&read_rows(&file, false).unwrap(), &tokenizer, &config).unwrap();
    Room { tokenizer, network, rows, folder }
}

fn greedy() -> GenerationConfig {
    GenerationConfig { do_sample: false, max_length: 81, ..GenerationConfig::default() }
}

fn run(room: &Room, batch_size: usize, file: Option<&Path>, config: &GenerationConfig) -> Evaluation {
    let prefixes = AdapterSlots::default();
    let engine = Engine::new(&room.network, &prefixes, SpecialIds::of(&room.tokenizer));
    let options = EvaluateOptions { batch_size, slot: None, predictions: file };
    let mut last = 0;
    let evaluation =
        evaluate(&engine, &room.tokenizer, &room.rows, options, config, &AtomicBool::new(false), &mut |progress| {
            assert!(progress.done >= last && progress.rows == room.rows.len());
            last = progress.done;
        })
        .unwrap();
    assert_eq!((last, evaluation.rows, evaluation.stopped), (room.rows.len(), room.rows.len(), false));
    evaluation
}

#[test]
fn predictions_are_those_of_the_rows_in_order_and_are_scored_raw() {
    let room = room();
    let first = check_predictions(&room, &greedy());
    check_predictions(&room, &GenerationConfig { num_beams: 3, length_penalty: 0.5, ..greedy() });
    // Two characters of an answer, so that at least that answer ends before them.
    let stop: String = first.chars().skip(1).take(2).collect();
    check_predictions(&room, &GenerationConfig { stop: vec![stop], ..greedy() });
    let rule = RepetitionRule { times: 2, max_period: 4, min_tokens: 0 };
    check_predictions(&room, &GenerationConfig { repetition: Some(rule), ..greedy() });
}

/// Evaluates and compares with each row answered alone. Returns the text of the first answer.
fn check_predictions(room: &Room, config: &GenerationConfig) -> String {
    let file = room.folder.path().join("generated_predictions.txt");
    let evaluation = run(room, 3, Some(&file), config);
    let lines: Vec<_> = PredictionsReader::open(&file).unwrap().map(Result::unwrap).collect();
    assert_eq!(lines.len(), room.rows.len());

    let prefixes = AdapterSlots::default();
    let engine = Engine::new(&room.network, &prefixes, SpecialIds::of(&room.tokenizer)).with_tokenizer(&room.tokenizer);
    let longest = room.rows.iter().map(|row| row.ids.len()).max().unwrap();
    let scorer = Scorer::new();
    let (mut texts, mut scores, mut tokens, mut cut, mut repetitive) = (Vec::new(), Vec::new(), 0, 0, 0);
    for (row, line) in room.rows.iter().zip(&lines) {
        let request = Request::in_batch(row.ids.clone(), None, longest, config);
        let answer = engine.generate(&[request], config, &AtomicBool::new(false), &mut |_, _| {}).unwrap().remove(0);
        assert!(answer.tokens.len() <= 81 - longest);
        let text = answer.decode(&room.tokenizer);
        assert!(config.stop.iter().all(|stop| !text.contains(stop.as_str())));
        scores.push(scorer.score_pair(&text, &row.reference));
        tokens += answer.tokens.len();
        cut += usize::from(answer.finish == Finish::Length);
        repetitive += usize::from(answer.finish == Finish::Repetition);
        assert_eq!(line.predict, glm_infer::predictions::Prediction::from_decoded("", &text).predict.trim());
        // The file holds tidied texts: no blank before a full stop.
        assert_eq!(line.labels, row.reference.replace(" .", ".").trim());
        texts.push(text);
    }
    assert_eq!(evaluation.summary, Summary::of(&scores));
    assert_eq!((evaluation.tokens, evaluation.cut, evaluation.repetitive), (tokens, cut, repetitive));
    assert_eq!(score_file(&file).unwrap().pairs, room.rows.len());
    assert!(evaluation.tokens_per_second() > 0.0 && evaluation.rows_per_second() > 0.0);
    texts.remove(0)
}

#[test]
fn the_number_of_rows_in_progress_changes_nothing() {
    let room = room();
    let sampled = GenerationConfig { max_length: 81, top_p: 1.0, ..GenerationConfig::default() };
    let drawn_beams = GenerationConfig { num_beams: 2, ..sampled.clone() };
    for config in [greedy(), sampled, drawn_beams] {
        let texts = [0, 1, 2, 7, 100].map(|batch_size| {
            let file = room.folder.path().join(format!("{batch_size}.txt"));
            let evaluation = run(&room, batch_size, Some(&file), &config);
            (std::fs::read_to_string(file).unwrap(), evaluation.tokens)
        });
        assert!(texts.iter().all(|text| *text == texts[0]));
    }
}

#[test]
fn a_stopped_evaluation_keeps_what_is_complete() {
    let room = room();
    let prefixes = AdapterSlots::default();
    let engine = Engine::new(&room.network, &prefixes, SpecialIds::of(&room.tokenizer));
    let file = room.folder.path().join("stopped.txt");
    run(&room, 2, Some(&file), &greedy());
    let all = std::fs::read_to_string(&file).unwrap();
    let options = EvaluateOptions { batch_size: 2, slot: None, predictions: Some(&file) };
    let stop = AtomicBool::new(false);
    let evaluation = evaluate(&engine, &room.tokenizer, &room.rows, options, &greedy(), &stop, &mut |progress| {
        // What a killed process would leave: the first rows, whole.
        let written = std::fs::read_to_string(&file).unwrap();
        assert!(written.lines().count() <= progress.done && all.starts_with(&written));
        stop.store(progress.done >= 3, Ordering::Relaxed);
    })
    .unwrap();
    assert!(evaluation.stopped && (3..room.rows.len()).contains(&evaluation.rows), "{evaluation:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), evaluation.rows);
    assert_eq!(evaluation.summary.unwrap().pairs, evaluation.rows);

    let nothing = evaluate(&engine, &room.tokenizer, &room.rows, options, &greedy(), &stop, &mut |_| {}).unwrap();
    assert_eq!((nothing.rows, nothing.summary, nothing.stopped), (0, None, true));
}

#[test]
fn numbers_that_are_not_finite_name_the_row_of_the_file() {
    let room = room();
    let prefixes = AdapterSlots::default();
    let config = PrefixConfig::new(room.network.config(), 1, false);
    let slot = prefixes.add(&PrefixEncoder::from_values(config, |_, n| vec![f32::INFINITY; n]).unwrap()).unwrap();
    let engine = Engine::new(&room.network, &prefixes, SpecialIds::of(&room.tokenizer));
    let options = EvaluateOptions { batch_size: 2, slot: Some(slot), predictions: None };
    let rows = &room.rows[4..];
    let error = evaluate(&engine, &room.tokenizer, rows, options, &greedy(), &AtomicBool::new(false), &mut |_| {});
    let message = error.unwrap_err().to_string();
    assert!(message.starts_with("row 5 (counted from 1): at token 1 of the answer"), "{message}");
}
