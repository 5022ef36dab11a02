//! What a download shows on standard error: a bar for each file on a terminal, else a line.

use std::io::IsTerminal;

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Which file of how many.
pub struct Label<'a> {
    /// Its name.
    pub file: &'a str,
    /// Counted from 1.
    pub at: usize,
    /// All of this group.
    pub of: usize,
}

/// Shows one file.
pub struct Progress {
    bar: ProgressBar,
    terminal: bool,
}

impl Progress {
    /// Begins, at 0 of `size` bytes.
    pub fn new(label: &Label, size: Option<u64>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(size, target);
        let style = "{msg} {bar:12.cyan/blue} {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_message(short(label.file));
        Self { bar, terminal }
    }

    /// `have` bytes are there.
    pub fn set(&self, have: u64) {
        if self.bar.position() == 0 && have > 0 {
            // What was there before says nothing about the speed.
            self.bar.set_position(have);
            self.bar.reset_eta();
        }
        self.bar.set_position(have);
    }

    /// Says something above the bar.
    pub fn line(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }

    /// The file is whole.
    pub fn done(&self, label: &Label, size: u64) {
        self.bar.finish_and_clear();
        let count = if self.terminal { String::new() } else { format!(" [{}/{}]", label.at, label.of) };
        eprintln!("downloaded {} ({}){count}", label.file, bytes(size));
    }
}

/// Bytes for people.
pub fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// A name that leaves room for the bar: the numbers of shards stand at its end.
fn short(name: &str) -> String {
    const MOST: usize = 24;
    let from = name.char_indices().rev().nth(MOST - 1).map_or(0, |(at, _)| at);
    if from == 0 { name.to_owned() } else { format!("…{}", &name[from..]) }
}
