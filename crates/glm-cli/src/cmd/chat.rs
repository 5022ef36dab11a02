//! `glmtune chat`.

use crate::config::ChatSettings;

/// Runs it.
///
/// # Errors
/// Always: it is not built yet.
pub fn run(_settings: ChatSettings) -> anyhow::Result<()> {
    anyhow::bail!("chat is not built yet")
}
