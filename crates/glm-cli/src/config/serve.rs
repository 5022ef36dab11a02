//! Settings of `serve`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use glm_data::Variant;
use glm_serve::{Defaults, check_name};

use super::adapter::{self, AdapterConfig};
use super::base::BaseConfig;
use super::outputs;
use crate::args::serve::{LogFormat, ServeKeys};
use crate::args::sources::Given;
use crate::args::usage::{Remark, UsageError, refuse};

/// Environment variables of keys.
pub const API_KEY: &str = "GLMTUNE_API_KEY";
/// See [`API_KEY`].
pub const ADMIN_KEY: &str = "GLMTUNE_ADMIN_KEY";

/// Runs that are watched.
#[derive(Debug, Clone)]
pub struct WatchSettings {
    /// Names of adapters and output folders of runs.
    pub runs: Vec<(String, PathBuf)>,
    /// Rows on which checkpoints are compared.
    pub file: PathBuf,
    /// How many of them.
    pub rows: usize,
    /// How many of these are answered.
    pub samples: usize,
    /// Time between two looks.
    pub interval: Duration,
}

impl WatchSettings {
    fn new(given: &Given<ServeKeys>) -> Result<Option<Self>, UsageError> {
        let keys = &given.keys.watch;
        let runs = adapter::named(given, "watch", &keys.watch, &[])?;
        if runs.is_empty() {
            if let Some(name) =
                ["watch_file", "watch_rows", "watch_samples", "watch_interval"].into_iter().find(|name| given.has(name))
            {
                refuse!("{} has no effect without --watch NAME=FOLDER", given.place(name));
            }
            return Ok(None);
        }
        let Some(file) = keys.watch_file.clone() else {
            refuse!("{} needs --watch_file: a file of rows on which checkpoints are compared", given.place("watch"))
        };
        for (name, value) in [("watch_rows", keys.watch_rows), ("watch_interval", keys.watch_interval)] {
            if value == 0 {
                refuse!("{}: expected 1 or more, found 0", given.place(name));
            }
        }
        let interval = Duration::from_secs(keys.watch_interval as u64);
        Ok(Some(Self { runs, file, rows: keys.watch_rows, samples: keys.watch_samples, interval }))
    }
}

/// A server.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// The base.
    pub base: BaseConfig,
    /// The adapter of the flags that other verbs have too: it answers where a request names no model.
    pub adapter: Option<AdapterConfig>,
    /// Adapters by their names.
    pub adapters: Vec<(String, PathBuf)>,
    /// Folder of further ones.
    pub adapter_dir: Option<PathBuf>,
    /// Runs whose checkpoints are served as they get better.
    pub watch: Option<WatchSettings>,
    /// Name of the base.
    pub name: Option<String>,
    /// Folder of runs to show.
    pub runs: Option<PathBuf>,
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on.
    pub port: u16,
    /// Keys of the API.
    pub keys: Vec<String>,
    /// Keys of the admin routes.
    pub admin_keys: Vec<String>,
    /// Origins of other web pages.
    pub origins: Vec<String>,
    /// Further names of this server.
    pub hosts: Vec<String>,
    asked: Asked,
    /// Requests in a batch.
    pub max_batch: usize,
    /// Requests that wait.
    pub max_queue: usize,
    /// Bytes of keys and values.
    pub kv_cache: Option<usize>,
    /// Keep keys and values of finished answers.
    pub prefix_caching: bool,
    /// Longest body.
    pub max_body: usize,
    /// Connections at a time.
    pub max_connections: usize,
    /// Time of a request.
    pub request_timeout: Duration,
    /// Time to read and to be read.
    pub read_timeout: Duration,
    /// Time to finish.
    pub shutdown_timeout: Duration,
    /// Form of the log.
    pub log_format: LogFormat,
    /// Prompts and answers in the log.
    pub log_prompts: bool,
    /// Threads to compute with; `None`: one a core.
    pub threads: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    max_length: Option<usize>,
    top_p: Option<f32>,
    temperature: Option<f32>,
    top_k: usize,
    repetition_penalty: f32,
}

impl ServeSettings {
    /// Resolves the keys. `environment` gives environment variables.
    ///
    /// # Errors
    /// Names the key that is missing, out of range or in contradiction with another.
    pub fn resolve(
        given: &Given<ServeKeys>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<(Self, Vec<Remark>), UsageError> {
        let mut remarks = Vec::new();
        given.check_status(&mut remarks)?;
        let ServeKeys { model, base, adapter, served, access, answers, limits, log, .. } = &given.keys;
        let Ok(host) = access.host.trim_matches(['[', ']']).parse::<IpAddr>() else {
            refuse!(
                "{}: expected an address as 127.0.0.1, 0.0.0.0 or ::1, found \"{}\"",
                given.place("host"),
                access.host
            );
        };
        let Ok(port) = u16::try_from(access.port) else {
            refuse!("{}: expected 0 to 65535, found {}", given.place("port"), access.port);
        };
        let keys = read_keys(
            given,
            "api_key_file",
            access.api_key_file.as_ref(),
            access.api_key.clone().or_else(|| environment(API_KEY)),
        )?;
        let admin_keys = read_keys(given, "admin_key_file", access.admin_key_file.as_ref(), environment(ADMIN_KEY))?;
        if keys.is_empty() && !host.is_loopback() && !access.no_auth {
            refuse!(
                "{}: {host} can be reached from elsewhere, and no key is wanted: set {API_KEY} or --api_key_file, or say --no_auth",
                given.place("host")
            );
        }
        if let Some(shared) = admin_keys.iter().find(|key| keys.contains(key)) {
            let _ = shared;
            refuse!("{}: a key of the API must not be one of the admin routes too", given.place("admin_key_file"));
        }
        if access.no_auth && !keys.is_empty() {
            refuse!("{} contradicts the key that is given: leave one of them out", given.place("no_auth"));
        }
        if let Some(origin) = access.cors_origin.0.iter().find(|origin| !is_origin(origin)) {
            refuse!(
                "{}: expected an origin as https://example.org, without a path, or *; found \"{origin}\"",
                given.place("cors_origin")
            );
        }
        if let Some(name) = &served.served_model_name {
            check_name(name).map_err(|error| UsageError(format!("{}: {error}", given.place("served_model_name"))))?;
        }
        let positive = |name: &str, value: usize| match value {
            0 => refuse!("{}: expected 1 or more, found 0", given.place(name)),
            value => Ok(value),
        };
        let seconds = |name: &str, value: usize| {
            positive(name, value).map(|value| Duration::from_secs((value as u64).min(1 << 30)))
        };
        let asked = Asked {
            max_length: answers.max_length,
            top_p: answers.top_p,
            temperature: answers.temperature,
            top_k: answers.top_k,
            repetition_penalty: answers.repetition_penalty,
        };
        let settings = Self {
            base: BaseConfig::new(given, model, base)?,
            adapter: AdapterConfig::to_use(given, model, &adapter.files(model.ptuning_checkpoint.as_deref()))?,
            adapters: adapter::named(given, "adapter", &served.adapter, &[])?,
            adapter_dir: served.adapter_dir.clone(),
            watch: WatchSettings::new(given)?,
            name: served.served_model_name.clone(),
            runs: served.runs_dir.clone(),
            host,
            port,
            keys,
            admin_keys,
            origins: access.cors_origin.0.clone(),
            hosts: access.allowed_host.0.clone(),
            asked,
            max_batch: positive("max_batch", limits.max_batch)?,
            max_queue: limits.max_queue,
            kv_cache: limits.kv_cache.map(|bytes| usize::try_from(bytes.0).unwrap_or(usize::MAX)),
            prefix_caching: limits.prefix_caching,
            max_body: positive("max_request_bytes", usize::try_from(limits.max_request_bytes.0).unwrap_or(usize::MAX))?,
            max_connections: positive("max_connections", limits.max_connections)?,
            request_timeout: seconds("request_timeout", limits.request_timeout)?,
            read_timeout: seconds("read_timeout", limits.read_timeout)?,
            shutdown_timeout: Duration::from_secs((limits.shutdown_timeout as u64).min(1 << 30)),
            log_format: log.log_format,
            log_prompts: log.log_prompts,
            threads: outputs::threads(given, base.threads)?,
        };
        settings.check_answers(given)?;
        settings.base.remark(given, &mut remarks);
        Ok((settings, remarks))
    }

    fn check_answers(&self, given: &Given<ServeKeys>) -> Result<(), UsageError> {
        let defaults = self.defaults(Variant::ChatGlm2);
        let check = |name: &str, found: f32, fits: bool, expected: &str| match fits {
            true => Ok(()),
            false => refuse!("{}: expected {expected}, found {found}", given.place(name)),
        };
        let Defaults { temperature, top_p, repetition_penalty, max_length, .. } = defaults;
        check("temperature", temperature, temperature >= 0.0, "0 (always the best token) or more")?;
        check("top_p", top_p, top_p > 0.0 && top_p <= 1.0, "more than 0 and at most 1")?;
        check("repetition_penalty", repetition_penalty, repetition_penalty > 0.0, "more than 0")?;
        if max_length == 0 {
            refuse!("{}: expected 1 or more, found 0", given.place("max_length"));
        }
        Ok(())
    }

    /// What answers are made with where a request does not say; what was not asked for is the model's own.
    pub fn defaults(&self, variant: Variant) -> Defaults {
        let (max_length, top_p, temperature) = super::chat::of_chat(variant);
        Defaults {
            max_length: self.asked.max_length.unwrap_or(max_length),
            top_p: self.asked.top_p.unwrap_or(top_p),
            temperature: self.asked.temperature.unwrap_or(temperature),
            top_k: self.asked.top_k,
            repetition_penalty: self.asked.repetition_penalty,
        }
    }
}

/// Keys from a file, one a line, and the one that was given otherwise.
fn read_keys(
    given: &Given<ServeKeys>,
    name: &str,
    file: Option<&PathBuf>,
    other: Option<String>,
) -> Result<Vec<String>, UsageError> {
    let mut keys: Vec<String> = other.into_iter().collect();
    if let Some(file) = file {
        let place = given.place(name);
        let text = std::fs::read_to_string(file)
            .map_err(|error| UsageError(format!("{place} {}: {error}", file.display())))?;
        let before = keys.len();
        keys.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
        if keys.len() == before {
            refuse!("{place} {}: expected one key a line, found none", file.display());
        }
    }
    if keys.iter().any(|key| {
        key.is_empty() || key.starts_with('#') || key.contains(|c: char| c.is_control() || c.is_whitespace())
    }) {
        refuse!(
            "a key of {} (or of its environment variable) is empty, holds blanks or begins with #; expected keys without blanks, one a line, \
             without comments",
            given.place(name)
        );
    }
    Ok(keys)
}

fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains(['/', ' ', '?', '#']))
}
