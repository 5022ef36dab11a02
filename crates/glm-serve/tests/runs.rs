//! The runs of a folder over a socket: as the page reads them, with files that are whole, half-written, huge and hostile.

#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::Path;
use support::{Running, start};

/// Status and JSON of an answer.
fn get(server: &Running, route: &str, key: Option<&str>) -> (u16, Value) {
    let key = key.map(|key| format!("Bearer {key}"));
    let headers: Vec<(&str, &str)> = key.iter().map(|key| ("Authorization", key.as_str())).collect();
    let reply = server.request("GET", route, &headers, "");
    (reply.status, reply.json())
}

/// A part of a path as browsers encode it.
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn log_line(step: u64, loss: f64) -> String {
    format!(
        "{{\"current_steps\": {step}, \"total_steps\": 100, \"loss\": {loss}, \"eval_loss\": null, \"learning_rate\": 0.02, \
         \"epoch\": 0.4, \"percentage\": 1.0, \"elapsed_time\": \"0:00:{:02}\", \"remaining_time\": \"0:01:40\"}}\n",
        step / 10
    )
}

fn write(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A run that trains: 40 of 100 steps, a checkpoint at 20 with answers.
fn running(run: &Path) -> File {
    let lines: String = (1..=4).map(|i| log_line(10 * i, 5.0 - i as f64)).collect();
    let eval = "{\"current_steps\": 20, \"total_steps\": 100, \"loss\": null, \"eval_loss\": 2.5}\n";
    write(run.join("trainer_log.jsonl"), format!("{lines}{eval}{}{{\"current_st", log_line(40, f64::NAN)));
    let state = json!({"global_step": 20, "max_steps": 100, "epoch": 0.2, "log_history": [
        {"step": 10, "loss": 4.0}, {"step": 20, "loss": 3.0, "learning_rate": 0.01}]});
    write(run.join("trainer_state.json"), state.to_string());
    write(run.join("checkpoint-20/trainer_state.json"), state.to_string());
    write(
        run.join("checkpoint-20/all_results.json"),
        r#"{"predict_rouge-l": 25.1, "predict_runtime": 3.0, "epoch": 1}"#,
    );
    let answers = "{\"labels\": \"<b>好</b>\", \"predict\": \"坏\"}\n\u{fffd}\n{\"labels\": 1}\n{\"label\": \"a\", \"predict\": \"b\"}\n{\"lab";
    write(run.join("checkpoint-20/generated_predictions.txt"), answers);
    let config = json!({"output_dir": "/data/somebody/runs/a", "train": {"per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2, "learning_rate": 0.02}});
    write(run.join("run_config.json"), config.to_string());
    write(run.join("all_results.json"), r#"{"eval_loss": NaN, "predict_bleu-4": 7.5, "predict_samples": 9}"#);
    let lock = File::create(run.join("run.lock")).unwrap();
    lock.lock().unwrap();
    lock
}

#[test]
fn runs_are_listed_and_shown() {
    let room = start(|config, _, folder| {
        config.runs = Some(folder.join("runs"));
        config.keys = vec!["sk".into()];
    });
    let runs = room.folder.path().join("runs");
    let lock = running(&runs.join("组 1/adgen&lora"));
    assert_eq!(get(&room, "/api/runs", None).0, 401);
    assert_eq!(get(&room, "/api/runs/x", None).0, 401);
    let list = get(&room, "/api/runs", Some("sk"));
    let updated = list.1["runs"][0]["updated"].clone();
    assert!(updated.as_u64().unwrap() > 1_700_000_000);
    let id = "组 1/adgen&lora";
    let line = json!({"id": id, "state": "running", "step": 40, "max_steps": 100, "loss": 1.0, "updated": updated});
    assert_eq!(list, (200, json!({"runs": [line], "error": null})));
    let route = format!("/api/runs/{}", encoded(id));
    let (status, run) = get(&room, &route, Some("sk"));
    assert_eq!(status, 200, "{run}");
    let point = |step: u64, loss: f64| json!({"step": step, "loss": loss, "learning_rate": 0.02});
    let expected = json!({
        "id": id, "state": "running", "step": 40, "max_steps": 100, "epoch": 0.4, "eta_seconds": 100,
        "samples_per_second": 80.0, "learning_rate": 0.02,
        "train": [point(10, 4.0), point(20, 3.0), point(30, 2.0), point(40, 1.0)],
        "eval": [{"step": 20, "loss": 2.5}],
        "scores": {"predict_bleu-4": 7.5},
        "checkpoints": [{"name": "checkpoint-20", "step": 20, "loss": 3.0, "eval_loss": 2.5, "scores": {"predict_rouge-l": 25.1},
            "samples": [{"prompt": null, "label": "<b>好</b>", "predict": "坏"}, {"prompt": null, "label": "a", "predict": "b"}]}],
        "samples": [],
        "configuration": {"output_dir": "…/a", "train": {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2,
            "learning_rate": 0.02}},
    });
    assert_eq!(run, expected);
    // The slash as it is, and the process gone.
    drop(lock);
    let run = get(&room, &route.replace("%2F", "/"), Some("sk")).1;
    assert_eq!((&run["state"], &run["eta_seconds"]), (&json!("stopped"), &Value::Null));
}

#[test]
fn no_path_of_a_request_reaches_the_files() {
    let room = start(|config, _, folder| config.runs = Some(folder.join("runs")));
    write(room.folder.path().join("secret/trainer_state.json"), r#"{"global_step": 7, "max_steps": 7}"#);
    write(room.folder.path().join("runs/a/trainer_state.json"), r#"{"global_step": 1, "max_steps": 2}"#);
    write(room.folder.path().join("runs/a/checkpoint-1/trainer_state.json"), r#"{"global_step": 1, "max_steps": 2}"#);
    let outside = encoded(room.folder.path().join("secret").to_str().unwrap());
    for name in
        ["..%2Fsecret", "../secret", "a%2F..%2Fa", "a%2Fcheckpoint-1", "a/", "%2e%2e%2fsecret", "a%00", "%ff", "", "."]
    {
        let (status, body) = get(&room, &format!("/api/runs/{name}"), None);
        assert!(matches!(status, 400 | 404), "{name}: {status} {body}");
    }
    assert_eq!(get(&room, &format!("/api/runs/{outside}"), None).0, 404);
    assert_eq!(get(&room, "/api/runs/a", None).0, 200);
}

#[test]
fn hostile_files_are_left_out() {
    let room = start(|config, _, folder| config.runs = Some(folder.join("runs")));
    let runs = room.folder.path().join("runs");
    let huge = File::create_new({
        fs::create_dir_all(runs.join("huge")).unwrap();
        runs.join("huge/trainer_state.json")
    });
    huge.unwrap().set_len(1 << 36).unwrap();
    for file in ["trainer_log.jsonl", "run_config.json", "all_results.json", "generated_predictions.txt"] {
        File::create_new(runs.join("huge").join(file)).unwrap().set_len(1 << 36).unwrap();
    }
    let marks =
        ["trainer_log.jsonl", "trainer_state.json", "run_config.json", "all_results.json", "generated_predictions.txt"];
    let contents: [&[u8]; 7] = [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"[[[[",
        b"{\"log_history\": 3, \"global_step\": \"x\"}",
        b"NaN",
        b"{\"step\":1e999}",
    ];
    for (number, content) in contents.iter().enumerate() {
        for mark in marks {
            write(runs.join(format!("bad-{number}")).join(mark), content);
            write(runs.join(format!("bad-{number}/checkpoint-5")).join(mark), content);
        }
        write(runs.join(format!("bad-{number}/checkpoint-99999999999999999999999/x")), "");
    }
    let (status, list) = get(&room, "/api/runs", None);
    assert_eq!((status, list["runs"].as_array().unwrap().len()), (200, 8), "{list}");
    for line in list["runs"].as_array().unwrap() {
        let (status, run) = get(&room, &format!("/api/runs/{}", line["id"].as_str().unwrap()), None);
        assert_eq!((status, &run["train"], &run["samples"]), (200, &json!([]), &json!([])), "{run}");
        assert_eq!(run["state"], "stopped");
    }
    // The folder is gone.
    fs::remove_dir_all(&runs).unwrap();
    let (status, list) = get(&room, "/api/runs", None);
    assert!(status == 200 && list["error"].as_str().unwrap().contains("not found"), "{list}");
    assert!(!list.to_string().contains(room.folder.path().join("").to_str().unwrap()));
}

#[test]
fn without_a_folder_there_are_no_runs() {
    let room = start(|_, _, _| {});
    let (status, list) = get(&room, "/api/runs", None);
    assert!(
        status == 200 && list["runs"] == json!([]) && list["error"].as_str().unwrap().contains("--runs_dir"),
        "{list}"
    );
    assert_eq!(get(&room, "/api/runs/a", None).0, 404);
}
