//! `glmtune dev`.

use crate::cmd::progress::TrainProgress;
use crate::cmd::{signals, threads};
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
/// When the folder cannot be written, or it was stopped.
pub fn demo_base(settings: DemoBaseSettings) -> anyhow::Result<()> {
    threads::set(settings.threads)?;
    let stop = signals::stop_flag()?;
    let mut progress = TrainProgress::new(true);
    glm_demo::recipe::make_base(&settings.out, &stop, &mut progress)?;
    println!("The demo's base is in {}", settings.out.display());
    Ok(())
}
