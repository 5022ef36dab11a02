//! Text on its way to the user.

use anyhow::Context;
use std::io::Write;

/// Text for a screen. A model can generate any byte, and files may name anything; a terminal must not take it for commands.
pub fn harmless(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n' && c != '\t', "\u{fffd}")
}

/// A line of the program's own, on standard error.
pub fn say(text: &str) {
    eprintln!("{}", harmless(text));
}

/// A part of an answer, on standard output.
///
/// # Errors
/// When it is closed.
pub fn write(out: &mut impl Write, text: &str) -> anyhow::Result<()> {
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("standard output")
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_command_reaches_the_screen() {
        assert_eq!(super::harmless("a\u{1b}[2J\tb\n\u{9b}c\r"), "a\u{fffd}[2J\tb\n\u{fffd}c\u{fffd}");
    }
}
