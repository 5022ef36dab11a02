//! Where questions come from: an editable line on a terminal, or plain lines from a pipe.

use anyhow::Context;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use signal_hook::consts::SIGINT;
use std::io::{BufRead, IsTerminal, StdinLock, stdin, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the user did.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A line without its end.
    Text(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D, or the end of the pipe.
    End,
}

/// A source of lines.
pub enum Input {
    /// Standard input and output are a terminal. The editor knows how wide characters are, which a terminal's own line
    /// editing does not.
    Terminal(Box<DefaultEditor>),
    /// Anything else.
    Lines {
        /// Standard input.
        from: StdinLock<'static>,
        /// Whether a line is waited for: SIGINT then ends the program, which has nothing else to stop.
        waiting: Arc<AtomicBool>,
    },
}

impl Input {
    /// Finds out what there is.
    ///
    /// # Errors
    /// When the terminal or the signal cannot be set up.
    pub fn open() -> anyhow::Result<Self> {
        if stdin().is_terminal() && stdout().is_terminal() {
            let settings = rustyline::Config::builder().auto_add_history(true).build();
            return Ok(Self::Terminal(Box::new(DefaultEditor::with_config(settings)?)));
        }
        let waiting = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&waiting))?;
        Ok(Self::Lines { from: stdin().lock(), waiting })
    }

    /// Whether a person sits at the other end.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// Waits for the next event. `prompt` is shown on terminals only.
    ///
    /// # Errors
    /// When reading fails, or a line is not UTF-8.
    pub fn next(&mut self, prompt: &str) -> anyhow::Result<Event> {
        match self {
            Self::Terminal(editor) => match editor.readline(prompt) {
                Ok(line) => Ok(Event::Text(line)),
                Err(ReadlineError::Interrupted) => Ok(Event::Interrupt),
                Err(ReadlineError::Eof) => Ok(Event::End),
                Err(error) => Err(error).context("reading from the terminal"),
            },
            Self::Lines { from, waiting } => {
                let mut line = Vec::new();
                waiting.store(true, Ordering::Relaxed);
                let read = from.read_until(b'\n', &mut line);
                waiting.store(false, Ordering::Relaxed);
                if read.context("reading standard input")? == 0 {
                    return Ok(Event::End);
                }
                let line = String::from_utf8(line).context("standard input: a line is not UTF-8")?;
                Ok(Event::Text(line.trim_end_matches(['\n', '\r']).to_owned()))
            }
        }
    }
}
