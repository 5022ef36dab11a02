//! `glmtune serve` as users start it, reach it, and end it.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::World;

/// A server that is killed when the test ends.
struct Server {
    process: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts it on a free port and waits for the line that names its address.
    fn start(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { process, address }
    }

    fn of(world: &World, flags: &str) -> Self {
        Self::start(world.glmtune(&format!("serve --model_name_or_path base --port 0 --compute f32 {flags}")))
    }

    fn send(&self, method: &str, path: &str, headers: &str, body: &Value) -> TcpStream {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}", self.address);
        stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
        stream
    }

    /// Status and body.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &Value) -> (u16, String) {
        let mut text = String::new();
        self.send(method, path, headers, body).read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn chat(&self, model: &str, tokens: usize) -> String {
        let (status, body) = self.ask("POST", "/v1/chat/completions", "", &question(model, tokens, false));
        let json: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 200, "{body}");
        json["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    }

    /// As `kill`.
    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.process.id().to_string()]).status().unwrap().success());
    }
}

fn question(model: &str, tokens: usize, stream: bool) -> Value {
    json!({
        "model": model, "messages": [{ "role": "user", "content": "类型#裤*风格#简约" }], "temperature": 0, "max_tokens": tokens, "stream": stream
    })
}

/// A world with two trained adapters.
fn trained() -> World {
    let world = World::new();
    let train = "train --do_train --model_name_or_path base --train_file train.json --max_steps 3 --max_source_length 48 \
                 --max_target_length 48 --per_device_train_batch_size 4 --learning_rate 5e-2";
    world.ok(&format!("{train} --pre_seq_len 8 --output_dir prefix"));
    world.ok(&format!("{train} --lora_rank 4 --output_dir lora"));
    world
}

#[test]
fn several_people_ask_several_adapters_at_once() {
    let world = trained();
    std::fs::create_dir(world.path("adapters")).unwrap();
    std::fs::rename(world.path("lora/checkpoint-3"), world.path("adapters/from-folder")).unwrap();
    std::fs::write(world.path("adapters/readme.txt"), "no adapter").unwrap();
    let server = Server::of(
        &world,
        "--adapter one=prefix/checkpoint-3 --adapter two=prefix/checkpoint-3 --adapter_dir adapters --served_model_name tiny",
    );
    let (_, models) = server.ask("GET", "/v1/models", "", &Value::Null);
    for id in ["\"tiny\"", "\"tiny:one\"", "\"tiny:two\"", "\"tiny:from-folder\""] {
        assert!(models.contains(id), "{models}");
    }
    let alone = ["tiny", "tiny:one", "tiny:from-folder"].map(|model| server.chat(model, 24));
    assert!(alone[0] != alone[1] && alone[1] != alone[2] && alone[0] != alone[2], "{alone:?}");
    std::thread::scope(|scope| {
        let ask = |i: usize| {
            let (server, model) = (&server, ["tiny", "tiny:one", "tiny:from-folder"][i % 3]);
            scope.spawn(move || server.chat(model, 24))
        };
        let answers: Vec<_> = (0..12).map(ask).collect();
        for (i, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.join().unwrap(), alone[i % 3]);
        }
    });
    let (status, page) = server.ask("GET", "/", "", &Value::Null);
    assert!(status == 200 && page.contains("<title>glmtune</title>"));
}

#[test]
fn the_flags_of_the_official_web_demo_work() {
    let world = trained();
    let server = Server::of(&world, "--ptuning_checkpoint prefix/checkpoint-3 --pre_seq_len 8 --host 127.0.0.1");
    let (_, info) = server.ask("GET", "/api/info", "", &Value::Null);
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!(
        (&info["default_model"], &info["models"][1]["adapter"]["turns"]),
        (&json!("base:checkpoint-3"), &json!("single"))
    );
    assert_eq!(server.chat("gpt-3.5-turbo", 8), server.chat("base:checkpoint-3", 8));
    world.refused(
        "serve --model_name_or_path base --ptuning_checkpoint prefix/checkpoint-3 --pre_seq_len 9",
        &["pre_seq_len", "8", "9"],
    );
}

#[test]
fn what_is_not_safe_or_makes_no_sense_is_refused() {
    let world = World::new();
    let serve = |flags: &str| format!("serve --model_name_or_path base {flags}");
    world.refused(&serve("--host 0.0.0.0"), &["--host", "GLMTUNE_API_KEY", "--no_auth"]);
    world.refused(&serve("--host example.org"), &["--host", "127.0.0.1"]);
    world.refused(&serve("--port 70000"), &["--port", "65535"]);
    world.refused(&serve("--adapter nothing"), &["--adapter", "a name, an equals sign and a path"]);
    world.refused(&serve("--adapter a=missing"), &["--adapter", "missing"]);
    world.refused(&serve("--adapter ../a=base"), &["--adapter", "letters, digits"]);
    world.refused(&serve("--adapter a=base --adapter a=base"), &["--adapter", "given twice"]);
    world.refused(&serve("--adapter_dir none"), &["--adapter_dir none"]);
    world.refused(&serve("--api_key k --no_auth"), &["--no_auth", "contradicts"]);
    world.refused(&serve("--api_key_file none"), &["--api_key_file", "none"]);
    world.refused(&serve("--cors_origin https://a.b/c"), &["--cors_origin", "without a path"]);
    world.refused(&serve("--max_batch 0"), &["--max_batch", "1 or more"]);
    world.refused(&serve("--port 0 --kv_cache 1000"), &["--kv_cache", "64"]);
    world.refused(&serve("--port 0 --adapter base=base"), &["the name base stands for the bare base"]);
    world.refused(&serve("--temperature -1"), &["--temperature"]);
    std::fs::write(world.path("keys"), "\n\n").unwrap();
    world.refused(&serve("--api_key_file keys"), &["--api_key_file", "one key a line"]);
    std::fs::write(world.path("keys"), "sk-one\n# of the team\n").unwrap();
    world.refused(&serve("--api_key_file keys"), &["--api_key_file", "without comments"]);
    // An adapter that does not fit, and a port that is taken, end the start.
    let error = world.fails(&serve("--port 0 --adapter a=base"));
    assert!(error.contains("--adapter a=base") && error.contains("whole model"), "{error}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = world.fails(&serve(&format!("--port {}", taken.local_addr().unwrap().port())));
    assert!(error.contains("cannot listen on") && error.contains("--port"), "{error}");
}

#[test]
fn keys_come_from_the_environment_or_a_file() {
    let world = World::new();
    std::fs::write(world.path("keys"), "sk-one\n sk-two \n").unwrap();
    let mut command = world.glmtune("serve --model_name_or_path base --port 0 --api_key_file keys");
    command.env("GLMTUNE_API_KEY", "sk-three").env("GLMTUNE_ADMIN_KEY", "sk-admin");
    let server = Server::start(command);
    let with =
        |key: &str, path: &str| server.ask("GET", path, &format!("Authorization: Bearer {key}\r\n"), &Value::Null).0;
    assert_eq!(
        ["sk-one", "sk-two", "sk-three", "sk-admin", ""].map(|key| with(key, "/v1/models")),
        [200, 200, 200, 401, 401]
    );
    assert_eq!(["sk-one", "sk-admin"].map(|key| with(key, "/admin/adapters")), [401, 200]);
}

#[test]
fn a_signal_lets_answers_end_and_a_second_one_does_not() {
    let world = World::new();
    // A client that is killed in the middle of its stream leaves nothing behind.
    let mut server = Server::of(&world, "--max_length 100000");
    let started = |server: &Server, tokens: usize| {
        // Outside of the form of a conversation the demo's base finds no end.
        let body = json!({ "prompt": "你好", "temperature": 0, "max_tokens": tokens, "stream": true });
        let mut stream = server.send("POST", "/v1/completions", "", &body);
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        stream
    };
    drop(started(&server, 90_000));
    let began = Instant::now();
    loop {
        let (_, metrics) = server.ask("GET", "/metrics", "", &Value::Null);
        if metrics.contains("outcome=\"cancelled\"} 1") && metrics.contains("glmtune_requests_running 0") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{metrics}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut running = started(&server, 400);
    server.signal("-TERM");
    let mut rest = String::new();
    running.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("data: [DONE]"), "{rest}");
    assert_eq!(server.process.wait().unwrap().code(), Some(0));

    let mut server = Server::of(&world, "--max_length 1000000");
    let _running = started(&server, 900_000);
    server.signal("-INT");
    std::thread::sleep(Duration::from_millis(300));
    assert!(server.process.try_wait().unwrap().is_none(), "it finishes what runs");
    let began = Instant::now();
    server.signal("-INT");
    server.process.wait().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// What the slow tests need beside the binary; `None`, said on standard error, where it is not there.
fn slow(name: &str, program: &Path) -> Option<PathBuf> {
    if std::env::var_os("GLM_SLOW").is_none() {
        eprintln!("skipped: {name} needs other programs and a minute (set GLM_SLOW=1 to run it)");
        return None;
    }
    if !program.exists() {
        eprintln!("skipped: {name} needs {} (.ci/run installs it)", program.display());
        return None;
    }
    Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests"))
}

#[test]
fn slow_page_in_a_browser() {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser/node_modules/playwright");
    let Some(tests) = slow("the page in a browser", &modules) else { return };
    let world = trained();
    let server = Server::of(&world, "--adapter adgen=prefix/checkpoint-3 --runs_dir .");
    let npm = |url: Option<String>| {
        let mut command = Command::new("npm");
        command.args(["test", "--silent"]).current_dir(tests.join("browser")).env_remove("GLM_URL");
        let output = command.envs(url.map(|url| ("GLM_URL", url))).output().unwrap();
        assert!(output.status.success(), "{}", support::text(&output));
    };
    npm(None);
    npm(Some(format!("http://{}", server.address)));
}

#[test]
fn slow_official_python_client() {
    let python = std::env::var_os("GLM_PYTHON").map_or_else(|| PathBuf::from("no GLM_PYTHON"), PathBuf::from);
    let Some(tests) = slow("the openai client of Python", &python) else { return };
    let world = World::new();
    // An adapter that has learned to end its answers.
    world.ok(
        "train --do_train --model_name_or_path base --train_file train.json --max_steps 60 --max_source_length 48 --max_target_length 48 \
         --per_device_train_batch_size 8 --learning_rate 2e-2 --pre_seq_len 16 --output_dir prefix",
    );
    let output = Command::new(python)
        .arg(tests.join("clients/openai_client.py"))
        .arg(assert_cmd::cargo::cargo_bin!("glmtune"))
        .args([world.path("base"), world.path("prefix/checkpoint-60")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", support::text(&output));
}
