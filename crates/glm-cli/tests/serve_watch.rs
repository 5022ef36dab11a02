//! `serve --watch`: checkpoints of a real training are promoted when they are better, rolled back, and passed over when broken.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use support::World;

/// Rate and steps decide how good a checkpoint gets.
fn train(world: &World, output: &str, rate: &str, steps: u64, further: &str) {
    world.ok(&format!(
        "train --do_train --train_file train.json --model_name_or_path base --output_dir {output} --pre_seq_len 4 \
         --max_source_length 64 --max_target_length 64 --per_device_train_batch_size 4 --max_steps {steps} --save_steps {steps} \
         --logging_steps 5 --learning_rate {rate} {further}"
    ));
}

/// Puts a checkpoint into the watched run as a training does: whole, by a change of its name.
fn save(world: &World, output: &str, step: u64) {
    let name = format!("checkpoint-{step}");
    let from = world.path(output).join(&name);
    let (made, to) = (world.path("watched").join(format!(".{name}.tmp-1-1")), world.path("watched").join(&name));
    fs::create_dir_all(&made).unwrap();
    for (file, bytes) in support::files(&from) {
        fs::write(made.join(file), bytes).unwrap();
    }
    fs::rename(made, to).unwrap();
}

struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(world: &World) -> Self {
        let words = "serve --model_name_or_path base --port 0 --watch tuned=watched --watch_file dev.json --watch_interval 1 \
                     --max_length 256 --runs_dir . --watch_samples 2";
        let mut command = world.glmtune(words);
        command.env("GLMTUNE_ADMIN_KEY", "admin").stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { process, address }
    }

    fn ask(&self, method: &str, route: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let length = body.len();
        let head = "Host: localhost\r\nConnection: close\r\nAuthorization: Bearer admin\r\n";
        write!(stream, "{method} {route} HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    /// A greedy answer of the watched adapter.
    fn answer(&self) -> String {
        let body = json!({"model": "tuned", "temperature": 0, "max_tokens": 24,
            "messages": [{"role": "user", "content": "类型#裤*版型#宽松"}]});
        let (status, answer) = self.ask("POST", "/v1/chat/completions", &body.to_string());
        assert_eq!(status, 200, "{answer}");
        answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until so many decisions are written down, and returns the last one.
fn decision(world: &World, number: usize) -> Value {
    decisions(world, number).pop().unwrap()
}

fn decisions(world: &World, number: usize) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let text = fs::read_to_string(world.path("watched/promotions.jsonl")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() <= number, "{text}");
        if lines.len() == number {
            return lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        }
        assert!(began.elapsed() < Duration::from_secs(120), "decision {number} does not come: {text}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn better_checkpoints_are_served_and_rolled_back() {
    let world = World::new();
    // A rate that is far too high makes checkpoints worse than useless.
    train(&world, "bad", "3", 3, "");
    train(&world, "worse", "3", 4, "--seed 1");
    train(&world, "good", "2e-2", 10, "");
    train(&world, "better", "2e-2", 40, "");
    let server = Server::start(&world);
    assert_eq!(server.ask("GET", "/admin/adapters", "").1["loaded"], json!([]));
    assert_eq!(server.ask("POST", "/admin/adapters/tuned/rollback", "").0, 404);
    fs::create_dir(world.path("watched")).unwrap();
    fs::copy(world.path("good/run_config.json"), world.path("watched/run_config.json")).unwrap();

    // The first one is served whatever it is; there is nothing to go back to.
    save(&world, "bad", 3);
    let bad = decision(&world, 1);
    assert_eq!(
        (&bad["step"], &bad["promoted"], &bad["previous_loss"]),
        (&json!(3), &json!(true), &Value::Null),
        "{bad}"
    );
    assert_eq!(server.ask("POST", "/admin/adapters/tuned/rollback", "").0, 409);
    let bad_answer = server.answer();

    save(&world, "good", 10);
    let good = decision(&world, 2);
    assert_eq!((&good["step"], &good["promoted"]), (&json!(10), &json!(true)), "{good}");
    assert_eq!(good["previous_loss"], bad["loss"]);
    assert!(good["loss"].as_f64().unwrap() < bad["loss"].as_f64().unwrap(), "{good}");
    assert_ne!(server.answer(), bad_answer);

    // Broken ones, incomplete ones and worse ones change nothing.
    save(&world, "worse", 4);
    let worse = decision(&world, 3);
    assert_eq!((&worse["promoted"], &worse["previous_loss"]), (&json!(false), &good["loss"]), "{worse}");
    let cut = world.path("watched/checkpoint-11");
    fs::create_dir(&cut).unwrap();
    fs::write(cut.join("trainer_state.json"), "{\"global_step\": 11}").unwrap();
    let cut = decision(&world, 4);
    assert_eq!((&cut["step"], &cut["promoted"], &cut["loss"]), (&json!(11), &json!(false), &Value::Null));
    assert!(!cut["error"].as_str().unwrap().is_empty());

    // Back, while the training goes on; and what was rolled back stays away, also after a restart.
    let (status, rolled) = server.ask("POST", "/admin/adapters/tuned/rollback", "");
    assert_eq!(
        (status, &rolled["rolled_back"], &rolled["serving"]),
        (200, &json!("checkpoint-10"), &json!("checkpoint-3"))
    );
    assert_eq!(server.answer(), bad_answer);
    let noted = decision(&world, 5);
    assert_eq!((&noted["step"], &noted["rolled_back"]), (&json!(10), &json!(true)));
    save(&world, "better", 40);
    let better = decision(&world, 6);
    assert_eq!((&better["step"], &better["promoted"]), (&json!(40), &json!(true)), "{better}");
    assert_eq!(better["previous_loss"], bad["loss"]);
    assert!(better["loss"].as_f64().unwrap() < good["loss"].as_f64().unwrap(), "{better}");
    // What the watch has found is shown with the run.
    let (status, run) = server.ask("GET", "/api/runs/watched", "");
    assert_eq!((status, run["checkpoints"].as_array().unwrap().len()), (200, 5), "{run}");
    let shown = &run["checkpoints"][2];
    assert_eq!((&shown["step"], &shown["scores"]["watch_loss"]), (&json!(10), &good["loss"]), "{shown}");
    let answers = shown["samples"].as_array().unwrap();
    assert_eq!(answers.len(), 2, "{shown}");
    let rows = fs::read_to_string(world.path("dev.json")).unwrap();
    let first: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert_eq!((&answers[0]["prompt"], &answers[0]["label"]), (&first["content"], &first["summary"]));
    assert!(!answers[0]["predict"].as_str().unwrap().is_empty());
    drop(server);
    fs::remove_dir_all(world.path("watched/checkpoint-40")).unwrap();
    fs::remove_dir_all(world.path("watched/checkpoint-11")).unwrap();
    let server = Server::start(&world);
    // The newest first; of checkpoints 3, 4 and 10 the last one, which is the best, stays away.
    let decisions = decisions(&world, 8);
    let [first, second] = &decisions[6..] else { panic!("{decisions:?}") };
    assert_eq!(
        (&first["step"], &first["promoted"], &first["loss"]),
        (&json!(4), &json!(true), &worse["loss"]),
        "{first}"
    );
    assert_eq!((&second["step"], &second["loss"]), (&json!(3), &bad["loss"]), "{second}");
    std::thread::sleep(Duration::from_millis(2500));
    decision(&world, 8);
    drop(server);
}

#[test]
fn a_watch_that_cannot_work_is_refused() {
    let world = World::new();
    let serve = "serve --model_name_or_path base --port 0";
    world.refused(&format!("{serve} --watch tuned=run"), &["--watch", "--watch_file"]);
    world.refused(&format!("{serve} --watch_file dev.json"), &["--watch_file", "--watch NAME"]);
    world.refused(&format!("{serve} --watch a/b=run --watch_file dev.json"), &["--watch", "a/b"]);
    world.refused(&format!("{serve} --watch a=x --watch a=y --watch_file dev.json"), &["--watch", "twice"]);
    world.refused(&format!("{serve} --watch a=x --watch_file dev.json --watch_interval 0"), &["--watch_interval"]);
    world.refused(&format!("{serve} --watch a=dev.json --watch_file dev.json"), &["--watch", "found a file"]);
    world.refused(&format!("{serve} --watch a=x --watch_file none.json"), &["--watch_file", "none.json"]);
}
