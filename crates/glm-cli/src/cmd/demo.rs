//! `glmtune demo`.

use crate::config::DemoSettings;

/// Runs it.
///
/// # Errors
/// Always: it is not built yet.
pub fn run(_settings: DemoSettings) -> anyhow::Result<()> {
    anyhow::bail!("demo is not built yet")
}
