//! SIGINT and SIGTERM.

use super::train::INTERRUPTED;
use glm_train::atomic;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Time between two looks at the flag.
const LOOK: Duration = Duration::from_millis(20);

/// A flag that the first SIGINT or SIGTERM sets; the second one ends the process at once.
///
/// # Errors
/// When the system refuses the handlers.
pub fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in signal_hook::consts::TERM_SIGNALS {
        // Order matters: while the flag is not yet set the first handler does nothing, and the second one sets it.
        signal_hook::flag::register_conditional_shutdown(*signal, INTERRUPTED, Arc::clone(&stop))?;
        signal_hook::flag::register(*signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// From now on the first SIGINT or SIGTERM removes what this process has begun to write and ends it; for verbs that have
/// nothing to save.
///
/// # Errors
/// When the system refuses the handlers or a thread.
pub fn remove_unfinished_when_stopped() -> anyhow::Result<()> {
    let stop = stop_flag()?;
    // Locks and files are not for a signal handler: a thread does it.
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK);
        }
        let _halted = atomic::remove_unfinished();
        // The reader may be gone, stopped by the same signal.
        let _ = writeln!(std::io::stderr(), "stopped: nothing is left of what was unfinished");
        std::process::exit(INTERRUPTED);
    })?;
    Ok(())
}
