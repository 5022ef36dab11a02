//! `glmtune inspect`.

use crate::config::PathSettings;

/// Runs it.
///
/// # Errors
/// Always: it is not built yet.
pub fn run(_settings: PathSettings) -> anyhow::Result<()> {
    anyhow::bail!("inspect is not built yet")
}
