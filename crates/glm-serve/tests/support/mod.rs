//! A server over the tiny base of the fixtures, on a socket of its own.
#![allow(dead_code, clippy::unwrap_used)] // Each test file uses its own part; the lint does not know helpers as tests.

use glm_data::{Tokenizer, Variant};
use glm_model::{LoadOptions, Network};
use glm_serve::{Defaults, Limits, Model, Models, ServeConfig, Server};
use glm_testkit::fixture;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// A server and a folder for its files.
pub struct Room {
    folder: tempfile::TempDir,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Room {
    /// Starts it; `change` sets what differs from a server for its own machine.
    pub fn new(change: impl FnOnce(&mut ServeConfig, &Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let network = Network::load(&fixture("glm2-tiny/model"), LoadOptions::default(), &mut |_, _| {}).unwrap();
        let vocabulary = fixture("tiny-tokenizer/tokenizer.model");
        let tokenizer = Tokenizer::from_file(&vocabulary, Variant::ChatGlm2).unwrap();
        let models = Models::new(Arc::new(Model::new(network, tokenizer)), "base");
        let mut config = config();
        change(&mut config, folder.path());
        let limits = Limits { max_batch: 4, max_queue: 8, cache_bytes: 1 << 28, keep_pasts: true };
        let server = Server::new(models, config, limits).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let stopped = async move { drop(stopped.await) };
            runtime.block_on(server.run(listener, stopped)).unwrap();
        });
        Self { folder, address, stop: Some(stop), thread: Some(thread) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Status and JSON of an answer.
    pub fn get(&self, route: &str, key: Option<&str>) -> (u16, Value) {
        self.ask("GET", route, key, "")
    }

    /// As [`Room::get`], with a method and a body.
    pub fn ask(&self, method: &str, route: &str, key: Option<&str>, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let key = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
        let length = body.len();
        let request = format!(
            "{method} {route} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{key}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {route}: {answer:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the server ended with an error");
    }
}

fn config() -> ServeConfig {
    ServeConfig {
        name: "base".into(),
        held_as: "f32".into(),
        compute: "f32".into(),
        keys: Vec::new(),
        admin_keys: Vec::new(),
        origins: Vec::new(),
        hosts: Vec::new(),
        defaults: Defaults { max_length: 256, temperature: 0.8, top_p: 0.8, top_k: 50, repetition_penalty: 1.0 },
        max_length: 256,
        max_body: 1 << 20,
        max_connections: 16,
        read_timeout: Duration::from_secs(10),
        request_timeout: Duration::from_secs(60),
        shutdown_timeout: Duration::from_secs(10),
        adapter_dir: None,
        runs: None,
        log_prompts: false,
    }
}

/// A part of a path as browsers encode it.
pub fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
