//! `glmtune train`.

use crate::config::RunConfig;

/// Runs it.
///
/// # Errors
/// Always: it is not built yet.
pub fn run(_settings: RunConfig) -> anyhow::Result<()> {
    anyhow::bail!("train is not built yet")
}
