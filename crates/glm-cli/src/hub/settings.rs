//! What decides where a named model comes from: flags, and the environment variables of Python's `huggingface_hub`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

const ENDPOINT: &str = "https://huggingface.co";

/// The part of the flags; saved with a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubConfig {
    /// Cache folder; `None`: that of the environment.
    pub cache_dir: Option<PathBuf>,
    /// Branch, tag or commit.
    pub revision: String,
    /// A token must be sent.
    pub use_auth_token: bool,
    /// Make no request.
    pub offline: bool,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self { cache_dir: None, revision: "main".into(), use_auth_token: false, offline: false }
    }
}

/// Flags and environment together.
#[derive(Debug)]
pub struct Environment {
    /// Cache folder, the one that holds `models--…`.
    pub cache: PathBuf,
    /// Server, without a slash at the end.
    pub endpoint: String,
    /// Token to send to that server.
    pub token: Option<String>,
    /// Make no request.
    pub offline: bool,
}

impl Environment {
    /// Reads the environment. A flag wins over a variable, and a narrow variable over a wide one.
    ///
    /// # Errors
    /// When there is nowhere to keep files, or the endpoint or the token cannot be used.
    pub fn read(config: &HubConfig) -> anyhow::Result<Self> {
        let cache = match &config.cache_dir {
            Some(folder) => folder.clone(),
            None => ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"]
                .into_iter()
                .find_map(variable)
                .map(PathBuf::from)
                .or_else(|| Some(home()?.join("hub")))
                .context("there is no HOME folder to keep downloads in: give --cache_dir or set HF_HOME")?,
        };
        // The cache links files by relative paths.
        let cache = std::path::absolute(&cache).with_context(|| cache.display().to_string())?;
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.into());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
        if host.is_none_or(|host| host.is_empty() || host.contains(['@', '?', '#', ' '])) {
            bail!("HF_ENDPOINT {endpoint}: expected an address as {ENDPOINT} or https://hf-mirror.com");
        }
        let offline = config.offline || ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().any(is_set);
        let token = token(config.use_auth_token)?;
        if config.use_auth_token && token.is_none() && !offline {
            bail!("--use_auth_token: no token was found; set HF_TOKEN, or log in with `huggingface-cli login`");
        }
        Ok(Self { cache, endpoint, token, offline })
    }
}

/// A variable of the environment that says something.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn is_set(name: &str) -> bool {
    variable(name).is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "on" | "yes" | "true"))
}

/// Folder of the hub's clients.
fn home() -> Option<PathBuf> {
    if let Some(folder) = variable("HF_HOME") {
        return Some(folder.into());
    }
    let cache = variable("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    Some(cache.join("huggingface"))
}

/// The token, from the places where Python looks for it. It is sent when present, unless the user has forbidden that.
fn token(asked: bool) -> anyhow::Result<Option<String>> {
    if !asked && is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
        return Ok(None);
    }
    let file = || {
        let path = variable("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| Some(home()?.join("token")))?;
        std::fs::read_to_string(path).ok()
    };
    let token = variable("HF_TOKEN").or_else(|| variable("HUGGING_FACE_HUB_TOKEN")).or_else(file);
    let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    if token.as_ref().is_some_and(|token| !token.chars().all(|c| c.is_ascii_graphic())) {
        // The token itself is not shown.
        bail!("the token of HF_TOKEN, or in the file that a login has left, holds characters that no token has");
    }
    Ok(token)
}
