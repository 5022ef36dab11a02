//! A server over a tiny base, and a client that sends what it is told to, well formed or not.
// Every test file compiles its own copy of this module and uses its own part of it.
#![allow(dead_code)]

use glm_data::{Rng, Tokenizer, Variant};
use glm_model::adapter::{PrefixConfig, PrefixEncoder, write_prefix};
use glm_model::{LoadOptions, Network};
use glm_serve::{Defaults, Limits, Model, Models, ServeConfig, Server};
use glm_testkit::{fixture, write_random_base};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// A server that runs until it is dropped.
pub struct Running {
    pub address: SocketAddr,
    /// What the base and its adapters lie in.
    pub folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Running {
    /// As SIGTERM: finishes what runs.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server ends");
        }
    }

    pub fn begin_to_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    pub fn send(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect();
        stream.write_all(bytes).expect("the server takes it");
        Reply::read(stream)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        stream
    }

    pub fn get(&self, path: &str) -> Reply {
        self.request("GET", path, &[], "")
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.request("POST", path, &[], &body.to_string())
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.send(message(method, path, headers, body).as_bytes())
    }
}

/// A request that closes its connection.
pub fn message(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str("Host: localhost\r\n");
    }
    headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    format!("{text}\r\n{body}")
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Reply {
    pub fn read(stream: TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let (status, headers) = head(&mut reader);
        let mut body = Vec::new();
        if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            while let Some(chunk) = chunk(&mut reader) {
                body.extend(chunk);
            }
        } else {
            let length: usize = headers.get("content-length").map_or(0, |length| length.parse().expect("a length"));
            body.resize(length, 0);
            reader.read_exact(&mut body).expect("the whole body");
        }
        Self { status, headers, body: String::from_utf8(body).expect("text") }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The events of a stream, `[DONE]` left out.
    pub fn events(&self) -> Vec<Value> {
        let lines = self.body.lines().filter_map(|line| line.strip_prefix("data: "));
        lines.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).expect("JSON")).collect()
    }

    pub fn text(&self) -> String {
        let json = self.json();
        json["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned()
    }

    pub fn error(&self) -> (u16, String) {
        let json = self.json();
        (self.status, json["error"]["message"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned())
    }
}

/// Status and headers.
pub fn head(reader: &mut impl BufRead) -> (u16, BTreeMap<String, String>) {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a status line");
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{line:?}"));
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        let Some((name, value)) = line.trim_end().split_once(':') else { return (status, headers) };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
}

/// The next chunk of a chunked body; `None` at its end, also where the connection breaks off.
pub fn chunk(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let length = usize::from_str_radix(line.trim(), 16).ok().filter(|length| *length > 0)?;
    let mut chunk = vec![0; length + 2];
    reader.read_exact(&mut chunk).ok()?;
    chunk.truncate(length);
    Some(chunk)
}

pub fn config() -> ServeConfig {
    ServeConfig {
        name: "tiny".into(),
        held_as: "as stored".into(),
        compute: "f32".into(),
        keys: Vec::new(),
        admin_keys: Vec::new(),
        origins: Vec::new(),
        hosts: vec!["localhost".into(), "127.0.0.1".into()],
        defaults: Defaults { max_length: 512, temperature: 0.8, top_p: 0.8, top_k: 50, repetition_penalty: 1.0 },
        max_length: 512,
        max_body: 100_000,
        max_connections: 64,
        read_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(60),
        shutdown_timeout: Duration::from_secs(20),
        adapter_dir: None,
        runs: None,
        log_prompts: false,
    }
}

pub fn limits() -> Limits {
    Limits { max_batch: 8, max_queue: 32, cache_bytes: 1 << 28, keep_pasts: true }
}

/// A random base with a prefix "prefix" that was trained on single questions, another one in the adapter folder, and these settings.
pub fn start(change: impl FnOnce(&mut ServeConfig, &mut Limits, &Path)) -> Running {
    let folder = tempfile::tempdir().expect("a folder");
    let vocabulary = fixture("tiny-tokenizer/tokenizer.model");
    let tokenizer = Tokenizer::from_file(&vocabulary, Variant::ChatGlm2).expect("a vocabulary");
    write_random_base(folder.path(), tokenizer.vocab_size(), 7);
    let network = Network::load(folder.path(), LoadOptions::default(), &mut |_, _| {}).expect("it loads");
    let adapters = folder.path().join("adapters");
    std::fs::create_dir(&adapters).expect("a folder");
    write_adapter(&network, &adapters.join("prefix"), 1, &[("turns", "single")]);
    write_adapter(&network, &adapters.join("other"), 2, &[("turns", "history"), ("source_prefix", "写：")]);
    let models = Models::new(Arc::new(Model::new(network, tokenizer)), "tiny");
    models.load("prefix", &adapters.join("prefix")).expect("it loads");
    let (mut config, mut limits) = (config(), limits());
    config.adapter_dir = Some(adapters);
    change(&mut config, &mut limits, folder.path());
    let server = Server::new(models, config, limits).expect("it starts");
    let (stop, stopped) = oneshot::channel::<()>();
    let (told, address) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            told.send(listener.local_addr().expect("an address")).expect("it is waited for");
            let stop = async {
                let _ = stopped.await;
            };
            server.run(listener, stop).await.expect("it serves");
        });
    });
    let address = address.recv().expect("the server starts");
    Running { address, folder, stop: Some(stop), thread: Some(thread) }
}

/// A random prefix whose file says these things of it.
pub fn write_adapter(network: &Network, folder: &Path, seed: u64, says: &[(&str, &str)]) {
    let sizes = PrefixConfig::new(network.config(), 6, false);
    let encoder = PrefixEncoder::new(sizes, &mut Rng::with_stream(seed, 0)).expect("it fits");
    let says = says.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    std::fs::create_dir_all(folder).expect("a folder");
    write_prefix(folder, &encoder, &says).expect("it is written");
}
