//! How many threads compute.

/// Sets the number of threads of this process; `None`: one a core.
///
/// # Errors
/// When the system refuses to make them.
pub fn set(threads: Option<usize>) -> anyhow::Result<()> {
    if let Some(threads) = threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    Ok(())
}
