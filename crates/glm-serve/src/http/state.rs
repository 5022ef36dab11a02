//! What every route has at hand.

use crate::config::ServeConfig;
use crate::http::auth::Keys;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::scheduler::Scheduler;
use crate::watch::Watched;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

/// Shared by all requests.
#[derive(Debug)]
pub struct State {
    /// Settings.
    pub config: ServeConfig,
    /// Keys of the API.
    pub keys: Keys,
    /// Keys of the admin routes.
    pub admin_keys: Keys,
    /// What answers.
    pub models: Models,
    /// The computing thread.
    pub scheduler: Scheduler,
    /// What operators watch.
    pub metrics: Arc<Metrics>,
    /// Runs whose checkpoints are watched.
    pub watched: OnceLock<Vec<Watched>>,
    /// Set when the server shuts down.
    pub stopping: AtomicBool,
}

/// As routes take it.
pub type Shared = Arc<State>;
