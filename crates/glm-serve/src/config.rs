//! Settings of a server.

use std::path::PathBuf;
use std::time::Duration;

/// How a server serves. Who may reach it is decided by the caller, who binds its socket.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// Name of the base in the API.
    pub name: String,
    /// What the page shows of the base: how its weights are held and in which numbers it computes.
    pub held_as: String,
    /// See [`ServeConfig::held_as`].
    pub compute: String,
    /// Keys of which requests must bring one; empty: none is wanted.
    pub keys: Vec<String>,
    /// Keys of the routes that load and unload adapters; empty: these routes are not there.
    pub admin_keys: Vec<String>,
    /// Origins of web pages other than the server's own that may use it; `*`: all.
    pub origins: Vec<String>,
    /// Names in `Host` that are the server's own, with or without a port; empty: any. Where no key is wanted this keeps other
    /// pages from reaching the server by a name of theirs that leads to this address (DNS rebinding).
    pub hosts: Vec<String>,
    /// What answers are made with where a request does not say.
    pub defaults: Defaults,
    /// Most tokens of prompt and answer together.
    pub max_length: usize,
    /// Most bytes of a request's body.
    pub max_body: usize,
    /// Most connections at a time.
    pub max_connections: usize,
    /// How long headers and a body may take to arrive.
    pub read_timeout: Duration,
    /// How long a request may take, waiting included.
    pub request_timeout: Duration,
    /// How long requests in progress may take when the server shuts down.
    pub shutdown_timeout: Duration,
    /// Folder of adapters that may be loaded by name while the server runs.
    pub adapter_dir: Option<PathBuf>,
    /// Folder whose runs the page shows.
    pub runs: Option<PathBuf>,
    /// Write prompts and answers into the log.
    pub log_prompts: bool,
}

/// What answers are made with where a request does not say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Defaults {
    /// Most tokens of prompt and answer together.
    pub max_length: usize,
    /// See [`glm_infer::GenerationConfig`], also for the following ones.
    pub temperature: f32,
    /// Smallest set of tokens.
    pub top_p: f32,
    /// Best tokens.
    pub top_k: usize,
    /// Repetition penalty.
    pub repetition_penalty: f32,
}
