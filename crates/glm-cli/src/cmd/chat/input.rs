//! Where lines come from: an editable line on a terminal, or plain lines from a pipe.

use super::complete::Completion;
use anyhow::Context;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Editor};
use signal_hook::consts::SIGINT;
use std::io::{BufRead, IsTerminal, StdinLock, stdin, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Lines that are kept for the next conversation.
const KEPT_LINES: usize = 1000;

/// What the user did.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A line without its end. What is pasted into a terminal may have several.
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
    Terminal {
        /// The editor.
        editor: Box<Editor<Completion, FileHistory>>,
        /// Where lines are kept for the next conversation.
        keep: Option<PathBuf>,
    },
    /// Anything else.
    Lines {
        /// Standard input.
        from: StdinLock<'static>,
        /// Whether a line is waited for: SIGINT then ends the program, which has nothing else to stop.
        waiting: Arc<AtomicBool>,
    },
}

impl Input {
    /// Finds out what there is. On a terminal, lines of earlier conversations are read from the file of `keep`, and new
    /// ones written there.
    ///
    /// # Errors
    /// When the terminal or the signal cannot be set up.
    pub fn open(completion: Completion, keep: impl FnOnce() -> Option<PathBuf>) -> anyhow::Result<Self> {
        if stdin().is_terminal() && stdout().is_terminal() {
            let settings = rustyline::Config::builder()
                .auto_add_history(true)
                .max_history_size(KEPT_LINES)?
                .completion_type(CompletionType::List)
                .build();
            let mut editor = Editor::with_config(settings)?;
            editor.set_helper(Some(completion));
            let keep = keep().filter(|file| match editor.load_history(file) {
                Err(ReadlineError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => true,
                read => noted(file, read),
            });
            return Ok(Self::Terminal { editor: Box::new(editor), keep });
        }
        let waiting = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&waiting))?;
        Ok(Self::Lines { from: stdin().lock(), waiting })
    }

    /// Whether a person sits at the other end.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal { .. })
    }

    /// Waits for the next event. `prompt` is shown on terminals only.
    ///
    /// # Errors
    /// When reading fails, or a line is not UTF-8.
    pub fn next(&mut self, prompt: &str) -> anyhow::Result<Event> {
        match self {
            Self::Terminal { editor, keep } => match editor.readline(prompt) {
                Ok(line) => {
                    // At once, so that nothing is lost when the program is ended.
                    keep.take_if(|file| !noted(file, editor.append_history(file)));
                    Ok(Event::Text(line))
                }
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

/// Whether it went well; else says so: the conversation goes on without keeping lines.
fn noted(file: &std::path::Path, done: rustyline::Result<()>) -> bool {
    if let Err(error) = &done {
        eprintln!("note: {}: {error}; lines are not kept for the next conversation", file.display());
    }
    done.is_ok()
}
