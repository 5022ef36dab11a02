use std::fs;
use std::time::Duration;

use glm_train::journal::{
    JournalError, LogLine, Metrics, Split, TrainSummary, TrainerLog, TrainerState, save_results, split_metrics,
};
use serde_json::Value;

const SUMMARY: TrainSummary = TrainSummary {
    epoch: 0.418_852,
    train_loss: 3.739_999_771_118_164,
    runtime: Duration::from_micros(4_321_123_456),
    samples: 114_599,
    samples_seen: 48_000.0,
    steps: 3000,
    total_flos: 8.3e18,
};

fn keys(metrics: &Metrics) -> Vec<&str> {
    metrics.keys().collect()
}

#[test]
fn trainer_state_has_the_trainers_form() {
    let mut state = TrainerState::new(6, 1);
    (state.global_step, state.epoch) = (1, Some(1.0 / 6.0));
    state.log_train(8.111_189_4, 0.016666666666666666).unwrap();
    state.best_model_checkpoint = Some("输出/checkpoint-1".into());
    let expected = r#"{
  "best_metric": null,
  "best_model_checkpoint": "\u8f93\u51fa/checkpoint-1",
  "epoch": 0.16666666666666666,
  "global_step": 1,
  "is_hyper_param_search": false,
  "is_local_process_zero": true,
  "is_world_process_zero": true,
  "log_history": [
    {
      "epoch": 0.17,
      "learning_rate": 0.016666666666666666,
      "loss": 8.1112,
      "step": 1
    }
  ],
  "max_steps": 6,
  "num_train_epochs": 1,
  "total_flos": 0.0,
  "trial_name": null,
  "trial_params": null
}
"#;
    assert_eq!(state.to_json().unwrap(), expected);
}

#[test]
fn trainer_state_comes_back_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let (path, again) = (dir.path().join("trainer_state.json"), dir.path().join("again.json"));
    let mut state = TrainerState::new(1000, 3);
    for step in 1..=1000u64 {
        (state.global_step, state.epoch) = (step, Some(step as f64 / 333.3));
        // Rates whose shortest form an inexact parser reads one unit off.
        state.log_train(8.0 / step as f64, 0.02 * (1.0 - step as f64 / 7919.0).powi(3)).unwrap();
    }
    state.save(&path).unwrap();
    let loaded = TrainerState::load(&path).unwrap();
    assert_eq!(loaded, state);
    loaded.save(&again).unwrap();
    assert_eq!(fs::read(path).unwrap(), fs::read(again).unwrap());
}

#[test]
fn a_state_of_another_version_loads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trainer_state.json");
    let text = r#"{"best_metric": null, "best_model_checkpoint": null, "epoch": 2.0, "global_step": 7, "log_history":
        [{"epoch": 2.0, "note": "text", "step": 7}], "max_steps": 9, "num_train_epochs": 3, "total_flos": 0,
        "stateful_callbacks": {}, "trial_name": null}"#;
    fs::write(&path, text).unwrap();
    assert_eq!(TrainerState::load(&path).unwrap().global_step, 7);
    fs::write(&path, text.replace("2.0", "NaN")).unwrap();
    let message = TrainerState::load(&path).unwrap_err().to_string();
    assert!(message.contains("trainer_state.json") && message.contains("line 1"), "{message}");
}

#[test]
fn no_writer_takes_a_number_that_is_not_finite() {
    fn names<T>(result: Result<T, JournalError>, expected: &str) {
        match result {
            Err(JournalError::NonFinite { key, .. }) => assert_eq!(key, expected),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("{expected} was written"),
        }
    }
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        names(Metrics::new().set_float("x", bad), "x");
        let mut state = TrainerState::new(1, 1);
        names(state.log_train(bad, 0.1), "loss");
        names(state.log_train(0.1, bad), "learning_rate");
        assert!(state.log_history.is_empty());
        names(TrainerState { epoch: Some(bad), ..state.clone() }.to_json(), "epoch");
        names(TrainerState { best_metric: Some(bad), ..state.clone() }.to_json(), "best_metric");
        names(TrainerState { total_flos: bad, ..state }.to_json(), "total_flos");
        names(TrainSummary { train_loss: bad, ..SUMMARY }.results(), "train_loss");
        names(TrainSummary { epoch: bad, ..SUMMARY }.results(), "epoch");
        names(TrainSummary { total_flos: bad, ..SUMMARY }.log_entry(), "total_flos");
        names(split_metrics(Split::Eval, &[("loss", bad)], Duration::ZERO, 1, 1), "eval_loss");

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trainer_log.jsonl");
        let mut log = TrainerLog::open(&path, 10, None).unwrap();
        names(log.write(&LogLine { eval_loss: Some(bad), ..LogLine::default() }), "eval_loss");
        assert_eq!(fs::read(&path).unwrap(), b"");
    }
}

#[test]
fn train_results_have_the_trainers_keys_and_rounding() {
    let results = SUMMARY.results().unwrap();
    assert_eq!(
        keys(&results),
        ["epoch", "train_loss", "train_runtime", "train_samples", "train_samples_per_second", "train_steps_per_second"]
    );
    assert_eq!(results.get("epoch"), Some(0.42));
    assert_eq!(results.get("train_loss"), Some(3.739_999_771_118_164));
    assert_eq!(results.get("train_runtime"), Some(4321.1235));
    assert_eq!(results.get("train_samples_per_second"), Some(11.108));
    assert_eq!(results.get("train_steps_per_second"), Some(0.694));

    let mut state = TrainerState { epoch: Some(SUMMARY.epoch), global_step: 3000, ..TrainerState::new(3000, 1) };
    let entry = state.log(SUMMARY.log_entry().unwrap()).unwrap();
    assert!(entry.get("total_flos").is_some() && entry.get("step") == Some(3000.0) && entry.get("epoch") == Some(0.42));
    assert!(entry.get("train_samples").is_none());
}

#[test]
fn results_files_are_written_and_merged() {
    let dir = tempfile::tempdir().unwrap();
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    save_results(dir.path(), Split::Train, &SUMMARY.results().unwrap()).unwrap();
    let scores = [("rouge-l", 25.5), ("bleu-4", 8.0), ("rouge-1", 31.12), ("rouge-2", 7.11)];
    let predict = split_metrics(Split::Predict, &scores, Duration::from_millis(2500), 10, 5).unwrap();
    save_results(dir.path(), Split::Predict, &predict).unwrap();
    assert_eq!(
        read("predict_results.json"),
        r#"{
    "predict_bleu-4": 8.0,
    "predict_rouge-1": 31.12,
    "predict_rouge-2": 7.11,
    "predict_rouge-l": 25.5,
    "predict_runtime": 2.5,
    "predict_samples": 10,
    "predict_samples_per_second": 4.0,
    "predict_steps_per_second": 2.0
}"#
    );
    let all: Metrics = serde_json::from_str(&read("all_results.json")).unwrap();
    assert_eq!(all.keys().count(), 6 + 8);
    // A second run's numbers win, and a broken file is named, not overwritten.
    let later = split_metrics(Split::Predict, &[("bleu-4", 9.0)], Duration::from_secs(1), 10, 5).unwrap();
    save_results(dir.path(), Split::Predict, &later).unwrap();
    let all: Metrics = serde_json::from_str(&read("all_results.json")).unwrap();
    assert_eq!((all.get("predict_bleu-4"), all.get("predict_rouge-1")), (Some(9.0), Some(31.12)));
    fs::write(dir.path().join("all_results.json"), "[]").unwrap();
    let message = save_results(dir.path(), Split::Eval, &later).unwrap_err().to_string();
    assert!(message.contains("all_results.json"), "{message}");
    assert_eq!(read("all_results.json"), "[]");
}

#[test]
fn a_clock_that_stood_still_gives_numbers() {
    let metrics = split_metrics(Split::Eval, &[], Duration::ZERO, 3, 2).unwrap();
    assert_eq!(metrics.get("eval_runtime"), Some(0.0));
    assert_eq!(metrics.get("eval_samples_per_second"), Some(3e6));
}

#[test]
fn log_lines_have_their_form() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trainer_log.jsonl");
    let mut log = TrainerLog::open(&path, 3000, None).unwrap();
    let line = LogLine {
        step: 10,
        loss: Some(4.25),
        learning_rate: Some(1e-5),
        epoch: Some(0.001_4),
        elapsed: Duration::from_secs(3725),
        ..LogLine::default()
    };
    log.write(&line).unwrap();
    // 372.5 s a step, 2990 steps left.
    let expected = r#"{"current_steps": 10, "total_steps": 3000, "loss": 4.25, "eval_loss": null, "learning_rate": 1e-05, "epoch": 0.0, "percentage": 0.33, "elapsed_time": "1:02:05", "remaining_time": "12 days, 21:22:55"}"#;
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{expected}\n"));
}

#[test]
fn a_resumed_log_drops_what_is_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trainer_log.jsonl");
    let mut log = TrainerLog::open(&path, 40, None).unwrap();
    for step in [10, 20, 30] {
        log.write(&LogLine { step, ..LogLine::default() }).unwrap();
    }
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, whole + "{\"current_steps\": 15, \"tot").unwrap();
    let mut log = TrainerLog::open(&path, 40, Some(20)).unwrap();
    log.write(&LogLine { step: 30, elapsed: Duration::from_secs(10), ..LogLine::default() }).unwrap();
    let lines: Vec<Value> =
        fs::read_to_string(&path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.iter().map(|l| l["current_steps"].as_u64().unwrap()).collect::<Vec<_>>(), [10, 20, 30]);
    // 10 steps since the start of this process took 10 s.
    assert_eq!(lines[2]["remaining_time"], "0:00:10");
    TrainerLog::open(&path, 40, None).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"");
}
