//! A stand-in for a Hugging Face hub on 127.0.0.1: lists and serves the files of one model, with ranges, redirects to a
//! store and etags as the real one, and with the faults that a test asks for. One request a connection.
#![allow(dead_code)] // Each test file uses its own part.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

/// The commit that it serves.
pub const COMMIT: &str = "b1502f4f75c71499a3d566b14463edd62620ce9f";
/// The commit that its branch moves on to, when it does.
pub const LATER: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    /// First byte that was asked for.
    pub from: Option<usize>,
    pub token: Option<String>,
}

/// What it serves, what it does wrong, and what it was asked.
#[derive(Default)]
pub struct State {
    /// Content by name. Weights and vocabularies are large files: behind a redirect, with SHA-256 as etag.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Only this token opens the model.
    pub token: Option<String>,
    /// Status and `X-Error-Code` of every answer.
    pub refuse: Option<(u16, &'static str)>,
    /// Answer to the request for the list, instead of the list.
    pub listing: Option<String>,
    /// Connection closed after so many bytes of weights, so many times.
    pub breaks: Option<(usize, usize)>,
    /// Bytes that differ from what the etag says, in this file.
    pub damaged: Option<String>,
    /// Headers that replace those of the same name, for weights.
    pub headers: Vec<(&'static str, String)>,
    /// Always the whole file.
    pub no_ranges: bool,
    /// `HEAD` is not known.
    pub no_head: bool,
    /// Origin that large files are redirected to; here when absent.
    pub store: Option<String>,
    /// Requests for files after which the branch stands at [`LATER`], and that commit's files.
    pub moves: Option<(usize, BTreeMap<String, Vec<u8>>)>,
    pub seen: Vec<Seen>,
}

impl State {
    /// Whether a file of a commit or branch is known, and of which commit.
    fn commit(&self, revision: &str) -> Option<&'static str> {
        match revision {
            "main" | "v1" => Some(if matches!(self.moves, Some((0, _))) { LATER } else { COMMIT }),
            COMMIT => Some(COMMIT),
            LATER => self.moves.is_some().then_some(LATER),
            _ => None,
        }
    }

    fn file(&self, commit: &str, name: &str) -> Option<&Vec<u8>> {
        match &self.moves {
            Some((_, files)) if commit == LATER => files.get(name),
            _ => self.files.get(name),
        }
    }
}

pub struct Hub {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Hub {
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { files, ..State::default() }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that leaves early is no fault of the server's.
                let _ = answer(&stream, &mut shared.lock().unwrap());
            }
        });
        Self { endpoint, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What it was asked since the last time.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().seen)
    }

    /// Names of the files whose content was sent, each time.
    pub fn sent(&self) -> Vec<String> {
        let name = |seen: &Seen| seen.path.rsplit('/').next().unwrap().to_owned();
        self.seen().iter().filter(|seen| seen.method == "GET" && !seen.path.starts_with("/api")).map(name).collect()
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_weights(name: &str) -> bool {
    name.ends_with(".safetensors")
}

fn is_large(name: &str) -> bool {
    is_weights(name) || name.ends_with(".bin") || name.ends_with(".model")
}

fn answer(stream: &TcpStream, state: &mut State) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let range = headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let from = range.and_then(|(from, _)| from.parse().ok());
    let last = range.and_then(|(_, last)| last.parse::<usize>().ok());
    let token = headers.get("authorization").and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
    state.seen.push(Seen { method: method.clone(), path: path.clone(), from, token: token.clone() });
    let mut out = Out { stream, head: method == "HEAD" };
    if let Some((status, code)) = state.refuse {
        return out.send(status, &[("x-error-code", code.into())], b"{}");
    }
    if state.no_head && out.head {
        return out.send(501, &[], b"");
    }
    if let Some((commit, name)) = path.strip_prefix("/store/").and_then(|path| path.split_once('/')) {
        return content(&mut out, state, (commit, name), from, last);
    }
    if state.token.is_some() && state.token != token {
        return out.send(401, &[("x-error-code", "GatedRepo".into())], b"{}");
    }
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        ["api", "models", "THUDM", "tiny", "revision", revision] if state.commit(revision).is_some() => {
            let siblings: Vec<_> = state.files.keys().map(|name| serde_json::json!({"rfilename": name})).collect();
            let commit = state.commit(revision);
            let list = serde_json::json!({"id": "THUDM/tiny", "sha": commit, "siblings": siblings}).to_string();
            out.send(200, &[], state.listing.as_ref().unwrap_or(&list).as_bytes())
        }
        ["api", "models", "THUDM", "tiny", ..] => out.send(404, &[("x-error-code", "RevisionNotFound".into())], b"{}"),
        ["THUDM", "tiny", "resolve", revision, name] => {
            let Some(commit) = state.commit(revision) else {
                return out.send(404, &[("x-error-code", "RevisionNotFound".into())], b"");
            };
            let Some(bytes) = state.file(commit, name) else {
                return out.send(404, &[("x-error-code", "EntryNotFound".into())], b"");
            };
            let mut headers = vec![
                ("x-linked-etag", format!("\"{}\"", sha256(bytes))),
                ("x-linked-size", bytes.len().to_string()),
                ("x-repo-commit", commit.into()),
                ("location", format!("{}/store/{commit}/{name}", state.store.as_deref().unwrap_or_default())),
            ];
            for (header, value) in state.headers.iter().filter(|_| is_weights(name)) {
                headers.retain(|(known, _)| known != header);
                headers.push((header, value.clone()));
            }
            if let Some((left, _)) = &mut state.moves {
                *left = left.saturating_sub(1);
            }
            match is_large(name) {
                true => out.send(302, &headers, b"moved"),
                false => content(&mut out, state, (commit, name), from, last),
            }
        }
        _ => out.send(404, &[("x-error-code", "RepoNotFound".into())], b"{}"),
    }
}

fn content(
    out: &mut Out,
    state: &mut State,
    (commit, name): (&str, &str),
    from: Option<usize>,
    last: Option<usize>,
) -> std::io::Result<()> {
    let Some(mut bytes) = state.file(commit, name).cloned() else { return out.send(404, &[], b"") };
    // Forty digits, as git names a small file; its first ones, for the rest does not matter.
    let etag = ("etag", format!("W/\"{}\"", &sha256(&bytes)[..40]));
    if state.damaged.as_deref() == Some(name) {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }
    let commit = ("x-repo-commit", commit.to_owned());
    let size = bytes.len();
    let (status, from, to) = match from.filter(|_| !state.no_ranges) {
        Some(from) if from >= size => return out.send(416, &[("content-range", format!("bytes */{size}"))], b""),
        Some(from) => (206, from, last.map_or(size, |last| size.min(last + 1))),
        None => (200, 0, size),
    };
    let mut headers = vec![etag, commit];
    if status == 206 {
        headers.push(("content-range", format!("bytes {from}-{}/{size}", to - 1)));
    }
    let body = &bytes[from..to];
    match &mut state.breaks {
        Some((after, times)) if *times > 0 && is_weights(name) && !out.head => {
            *times -= 1;
            out.begin(status, &headers, body.len())?;
            (&mut out.stream).write_all(&body[..body.len().min(*after)])
        }
        _ => out.send(status, &headers, body),
    }
}

struct Out<'a> {
    stream: &'a TcpStream,
    head: bool,
}

impl Out<'_> {
    fn begin(&mut self, status: u16, headers: &[(&str, String)], length: usize) -> std::io::Result<()> {
        let mut text = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        self.stream.write_all((text + "\r\n").as_bytes())
    }

    fn send(&mut self, status: u16, headers: &[(&str, String)], body: &[u8]) -> std::io::Result<()> {
        self.begin(status, headers, body.len())?;
        if !self.head { self.stream.write_all(body) } else { Ok(()) }
    }
}
