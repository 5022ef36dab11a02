//! SIGINT and SIGTERM.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A flag that the first SIGINT or SIGTERM sets; the second one ends the process at once.
///
/// # Errors
/// When the system refuses the handlers.
pub fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in signal_hook::consts::TERM_SIGNALS {
        // Order matters: while the flag is not yet set the first handler does nothing, and the second one sets it.
        signal_hook::flag::register_conditional_shutdown(*signal, 130, Arc::clone(&stop))?;
        signal_hook::flag::register(*signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}
