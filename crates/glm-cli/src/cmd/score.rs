//! `glmtune score`.

use crate::config::PathSettings;

/// Runs it.
///
/// # Errors
/// Always: it is not built yet.
pub fn run(_settings: PathSettings) -> anyhow::Result<()> {
    anyhow::bail!("score is not built yet")
}
