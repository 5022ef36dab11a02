//! `glmtune dev`.

use crate::config::{DemoBaseSettings, RandomBaseSettings};

/// Writes a random base.
///
/// # Errors
/// Always: it is not built yet.
pub fn random_base(_settings: RandomBaseSettings) -> anyhow::Result<()> {
    anyhow::bail!("dev random-base is not built yet")
}

/// Builds the demo's base again.
///
/// # Errors
/// Always: it is not built yet.
pub fn demo_base(_settings: DemoBaseSettings) -> anyhow::Result<()> {
    anyhow::bail!("dev demo-base is not built yet")
}
