//! `glmtune serve`: web page and OpenAI-compatible API over one base and many adapters.

use super::train::limited;
use super::{base, threads};
use crate::args::serve::LogFormat;
use crate::args::usage::UsageError;
use crate::config::ServeSettings;
use crate::config::adapter::AdapterConfig;
use crate::config::base::BaseConfig;
use crate::config::serve::WatchSettings;
use anyhow::Context;
use glm_serve::{Answerer, Limits, Model, Models, ServeConfig, Server, Watch, Watched, adapters_in};
use glm_train::memory;
use std::io::{ErrorKind, IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Keys and values where free memory cannot be told.
const USUAL_CACHE: u64 = 2_000_000_000;

/// Fewer tokens of prompt and answer are no conversation.
const LEAST_CONTEXT: usize = 64;

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When base or adapters cannot be loaded, or the address cannot be listened on.
pub fn run(settings: ServeSettings) -> anyhow::Result<()> {
    threads::set(settings.threads)?;
    log(settings.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // The address is taken first: that it is in use must not be found out after minutes of loading.
    let address = SocketAddr::new(settings.host, settings.port);
    let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::AddrInUse | ErrorKind::PermissionDenied => "another --port may be free",
            _ => "--host must be an address of this machine",
        };
        anyhow::Error::from(error).context(format!("cannot listen on {address}; {advice}"))
    })?;
    let address = listener.local_addr()?;
    let loaded = base::load(&settings.base, settings.adapter.as_ref())?;
    eprintln!("{}", settings.base.describe());
    let name = settings.name.clone().unwrap_or_else(|| name_of(&settings.base));
    let config = loaded.network.config().clone();
    let models = Models::new(Arc::new(Model::new(loaded.network, loaded.tokenizer)), &name);
    let named = settings.adapters.iter().chain(settings.watch.iter().flat_map(|watch| &watch.runs));
    if named.into_iter().any(|(adapter, _)| *adapter == name) {
        return Err(UsageError(format!(
            "the name {name} stands for the bare base; give the adapter another one, or the base (--served_model_name)"
        ))
        .into());
    }
    load_adapters(&settings, &models)?;
    let mut defaults = settings.defaults(config.variant);
    let free = memory::available().map_or(USUAL_CACHE, |free| free / 2);
    let limits = Limits {
        max_batch: settings.max_batch,
        max_queue: settings.max_queue,
        cache_bytes: settings.kv_cache.unwrap_or(usize::try_from(free).unwrap_or(usize::MAX)),
        keep_pasts: settings.prefix_caching,
    };
    let asked = defaults.max_length;
    let fits = |tokens: usize| models.model().cache_bytes(tokens) <= limits.cache_bytes;
    if !fits(defaults.max_length) {
        // Sizes grow with the number of tokens.
        let (mut most, mut too_many) = (0, defaults.max_length);
        while too_many - most > 1 {
            let middle = most + (too_many - most) / 2;
            if fits(middle) { most = middle } else { too_many = middle }
        }
        defaults.max_length = most;
    }
    if defaults.max_length < LEAST_CONTEXT.min(asked) {
        let bytes = limits.cache_bytes;
        return Err(UsageError(format!(
            "--kv_cache: {bytes} bytes hold the keys and values of {} tokens; expected room for {LEAST_CONTEXT} at least ({} bytes)",
            defaults.max_length,
            models.model().cache_bytes(LEAST_CONTEXT)
        ))
        .into());
    }
    if defaults.max_length < asked {
        eprintln!(
            "note: memory for keys and values (--kv_cache) has room for {} tokens, which is the limit of prompt and answer instead \
             of {asked}",
            defaults.max_length
        );
    }
    let serve = ServeConfig {
        name,
        held_as: models.model().network.held_as(),
        compute: settings.base.compute.name().to_owned(),
        keys: settings.keys.clone(),
        admin_keys: settings.admin_keys.clone(),
        origins: settings.origins.clone(),
        hosts: hosts(&settings),
        defaults,
        max_length: defaults.max_length,
        max_body: settings.max_body,
        max_connections: settings.max_connections,
        read_timeout: settings.read_timeout,
        request_timeout: settings.request_timeout,
        shutdown_timeout: settings.shutdown_timeout,
        adapter_dir: settings.adapter_dir.clone(),
        runs: settings.runs.clone(),
        log_prompts: settings.log_prompts,
    };
    let server = Server::new(models, serve, limits)?;
    if let Some(watch) = &settings.watch {
        server.watch(watch_of(watch)?)?;
    }
    // Programs that start the server read this line; the rest of the log is for people.
    let mut out = std::io::stdout();
    let _ = writeln!(out, "http://{}", shown(address)).and_then(|()| out.flush());
    runtime.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let stop = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            tracing::info!("finishing what runs; a second signal ends at once");
            tokio::spawn(async move {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                std::process::exit(super::train::INTERRUPTED);
            });
        };
        server.run(listener, stop).await
    })?;
    Ok(())
}

/// Loads what the flags name. The adapter of the flags that other verbs have too answers where a request names no model.
fn load_adapters(settings: &ServeSettings, models: &Models) -> anyhow::Result<()> {
    let own = settings.adapter.as_ref().and_then(AdapterConfig::init_from);
    if let Some(files) = own {
        let name = plain(files).unwrap_or_else(|| "adapter".into());
        tell(&*models.load(&name, files)?);
        models.set_default(&name);
    }
    for (name, path) in &settings.adapters {
        tell(&*models.load(name, path).with_context(|| format!("--adapter {name}={}", path.display()))?);
    }
    for (name, path) in settings.adapter_dir.as_deref().map(adapters_in).unwrap_or_default() {
        // One that does not fit this base must not keep the others from being served.
        match models.load(&name, &path) {
            Ok(answerer) => tell(&answerer),
            Err(error) => eprintln!("warning: --adapter_dir: {error}"),
        }
    }
    Ok(())
}

/// The rows are read once: losses on other rows could not be compared.
fn watch_of(settings: &WatchSettings) -> anyhow::Result<Watch> {
    let rows = limited(&settings.file, Some(settings.rows), true).context("--watch_file")?;
    let run = |(name, run): &(String, PathBuf)| {
        if !run.is_dir() {
            eprintln!("note: --watch {name}={}: the folder is not there yet; it is waited for", run.display());
        }
        Watched { name: name.clone(), run: run.clone() }
    };
    Ok(Watch {
        runs: settings.runs.iter().map(run).collect(),
        rows,
        samples: settings.samples,
        interval: settings.interval,
    })
}

fn tell(answerer: &Answerer) {
    eprintln!("serving {}", answerer.id);
    if let Some(warning) = answerer.adapter.as_ref().and_then(|adapter| adapter.warning.as_ref()) {
        eprintln!("warning: {}: {warning}", answerer.id);
    }
}

/// The last part of a path, as far as it can be a name.
pub fn plain(path: &Path) -> Option<String> {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name: String = whole
        .file_name()?
        .to_str()?
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' })
        .skip_while(|c| !c.is_alphanumeric())
        .take(60)
        .collect();
    (!name.is_empty()).then_some(name)
}

/// The name of a base where none is given.
pub fn name_of(base: &BaseConfig) -> String {
    let path = PathBuf::from(&base.path);
    plain(&path).unwrap_or_else(|| "base".into())
}

/// Names by which the server may be reached. Where a key is wanted any will do, for a page of another name does not know it.
fn hosts(settings: &ServeSettings) -> Vec<String> {
    if !settings.keys.is_empty() {
        return Vec::new();
    }
    let own = [shown_ip(settings.host), "localhost".into(), "127.0.0.1".into(), "[::1]".into()];
    own.into_iter().chain(settings.hosts.iter().cloned()).collect()
}

fn shown(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("localhost:{}", address.port()),
        false => address.to_string(),
    }
}

fn shown_ip(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The log goes to standard error; `RUST_LOG` chooses what it holds.
fn log(format: LogFormat) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(color);
    // Only a subscriber that is there already would refuse.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
