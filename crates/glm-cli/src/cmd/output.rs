//! Standard output of verbs that print one text at their end.

use std::io::{ErrorKind, Write};

/// Prints it. Whoever closed the pipe has seen enough.
///
/// # Errors
/// When it cannot be written for another reason.
pub fn print(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{}", text.trim_end()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
