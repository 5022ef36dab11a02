//! Keys of `serve`.

use std::path::PathBuf;

use super::keys::{key_sets, keys};
use super::method::AdapterArgs;
use super::model::{BaseArgs, ModelArgs};
use super::types::{Bytes, NamedPaths};
use super::value::{FlagValue, choice};

/// Texts, in the order given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts(pub Vec<String>);

impl FlagValue for Texts {
    const METAVAR: &'static str = "TEXT";
    const REPEATS: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        match text.lines().all(|line| !line.is_empty()) {
            true => Ok(Self(text.lines().map(str::to_owned).collect())),
            false => Err("a text that is not empty".into()),
        }
    }

    fn show(&self) -> String {
        self.0.join(" ")
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}
choice!(LogFormat, "text|json";
    LogFormat::Text => "text",
    LogFormat::Json => "json",
);

keys! {
    /// Where the server listens, and who may use it.
    pub struct AccessArgs in "Access";

    /// Address to listen on. Any other than 127.0.0.1 or ::1 can be reached from elsewhere, and needs a key
    host: String = "127.0.0.1".into();
    /// Port to listen on; 0: one that is free, which is printed
    port: usize = 8000;
    /// Key that requests must bring (Authorization: Bearer KEY), also on the page. Other users of this machine see it in the list of
    /// processes: better is the environment variable GLMTUNE_API_KEY, or a file
    api_key: Option<String> = None;
    /// File of keys, one a line
    api_key_file: Option<PathBuf> = None;
    /// Want no key although the server can be reached from elsewhere
    no_auth: bool = false;
    /// File of keys of /admin/adapters, the routes that load and unload adapters; they are not there without one (or the
    /// environment variable GLMTUNE_ADMIN_KEY)
    admin_key_file: Option<PathBuf> = None;
    /// Origin of a web page that may use the API, as https://NAME; * stands for all. May be given several times
    cors_origin: Texts = Texts::default();
    /// Name by which this server is reached, beside its address; where no key is wanted, requests by other names are refused. May be
    /// given several times
    allowed_host: Texts = Texts::default();
}

keys! {
    /// What is served.
    pub struct ServedArgs in "Adapters";

    /// An adapter and its name in the API; a prefix or LoRA, in any layout. May be given several times
    adapter: NamedPaths = NamedPaths::default();
    /// Folder of adapters: all in it are loaded under their own names, and others may be loaded from it while the server runs
    adapter_dir: Option<PathBuf> = None;
    /// Name of the base in the API (default: that of its folder)
    served_model_name: Option<String> = None;
    /// Folder whose runs the page shows
    runs_dir: Option<PathBuf> = None;
}

keys! {
    /// Checkpoints that are served as they get better.
    pub struct WatchArgs in "Watch";

    /// Output folder of a training and the name of its adapter: a new checkpoint is served under the name when its loss on
    /// --watch_file is lower than that of the one served. May be given several times
    watch: NamedPaths = NamedPaths::default();
    /// Rows on which checkpoints are compared
    watch_file: Option<PathBuf> = None;
    /// Number of rows to compare on, from the start of --watch_file
    watch_rows: usize = 64;
    /// Of these, answer so many with each checkpoint, for people to see on the page: greedily, into samples.jsonl of the run
    watch_samples: usize = 3;
    /// Seconds between two looks for new checkpoints
    watch_interval: usize = 30;
}

keys! {
    /// How answers are made where a request does not say.
    pub struct AnswerArgs in "Answers";

    /// Most tokens of prompt and answer together, unless a request says (default: the model's own: ChatGLM-6B 2048,
    /// ChatGLM2-6B 8192, ChatGLM3-6B 32768). No request gets more
    max_length: Option<usize> = None;
    /// Keep the most likely tokens that together reach this probability (default: the model's own, 0.7 or 0.8)
    top_p: Option<f32> = None;
    /// Logits are divided by it before sampling; 0: always take the best token (default: the model's own, 0.95 or 0.8)
    temperature: Option<f32> = None;
    /// Keep so many of the most likely tokens; 0: all
    top_k: usize = 50;
    /// Above 1: makes repeated tokens less likely
    repetition_penalty: f32 = 1.0;
}

keys! {
    /// What the server takes at most.
    pub struct LimitArgs in "Limits";

    /// Requests that are answered at a time, in one batch
    max_batch: usize = 32;
    /// Requests that wait beside them; one more is refused with 429
    max_queue: usize = 128;
    /// Memory for keys and values of all answers (default: half of what is free once the base is loaded)
    kv_cache: Option<Bytes> = None;
    /// Keep keys and values of finished answers, so that a conversation's beginning is not read again
    prefix_caching: bool = true;
    /// Seconds that a request may take, waiting included
    request_timeout: usize = 600;
    /// Seconds that headers, a body, and a reader of an answer may take
    read_timeout: usize = 30;
    /// Seconds that answers in progress may take when the server is stopped
    shutdown_timeout: usize = 30;
    /// Longest body of a request
    max_request_bytes: Bytes = Bytes(4_000_000);
    /// Connections at a time
    max_connections: usize = 1024;
}

keys! {
    /// The log.
    pub struct LogArgs in "Log";

    /// Form of the log on standard error
    log_format: LogFormat = LogFormat::Text;
    /// Write prompts and answers into the log
    log_prompts: bool = false;
}

key_sets! {
    /// Keys of `serve`.
    pub struct ServeKeys {
        /// Model.
        model: ModelArgs,
        /// Model, our own.
        base: BaseArgs,
        /// Files of one adapter.
        adapter: AdapterArgs,
        /// Adapters.
        served: ServedArgs,
        /// Watch.
        watch: WatchArgs,
        /// Access.
        access: AccessArgs,
        /// Answers.
        answers: AnswerArgs,
        /// Limits.
        limits: LimitArgs,
        /// Log.
        log: LogArgs,
    }
}
