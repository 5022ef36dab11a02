//! What Tab completes: commands, names of adapters and settings, files.

use super::command;
use super::settings;
use crate::config::BASE;
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

/// Completes lines that begin with a slash.
pub struct Completion {
    /// Names of the adapters.
    adapters: Vec<String>,
    files: FilenameCompleter,
}

impl Completion {
    /// With the names of the adapters.
    pub fn new(adapters: Vec<String>) -> Self {
        Self { adapters, files: FilenameCompleter::new() }
    }
}

/// Where the word before the cursor begins, and what it may become.
fn candidates(before: &str, adapters: &[String]) -> (usize, Vec<String>) {
    let start =
        before.rfind(char::is_whitespace).map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let (earlier, word) = before.split_at(start);
    let mut earlier = earlier.split_whitespace();
    let with = |names: Vec<&str>| names.into_iter().filter(|name| name.starts_with(word)).map(str::to_owned).collect();
    let names = || std::iter::once(BASE).chain(adapters.iter().map(String::as_str)).collect();
    let found = match (earlier.next(), earlier.count()) {
        (None, _) if word.starts_with('/') => {
            let commands = command::ALL.iter().filter(|spec| !spec.name.starts_with('/'));
            let whole =
                commands.map(|spec| format!("/{}{}", spec.name, if spec.arguments.is_empty() { "" } else { " " }));
            whole.filter(|name| name.starts_with(word)).collect()
        }
        (Some("/use"), 0) | (Some("/compare"), _) => with(names()),
        (Some("/set"), 0) => {
            settings::NAMES.iter().filter(|name| name.starts_with(word)).map(|name| format!("{name} ")).collect()
        }
        _ => Vec::new(),
    };
    (start, found)
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        if line.starts_with("/save ") {
            return self.files.complete_path(line, pos);
        }
        let (start, found) = candidates(line.get(..pos).unwrap_or_default(), &self.adapters);
        let pair = |text: String| Pair { display: text.trim_end().to_owned(), replacement: text };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

impl Hinter for Completion {
    type Hint = String;
}
impl Highlighter for Completion {}
impl Validator for Completion {}
impl Helper for Completion {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_names_are_completed() {
        let adapters = ["adgen".to_owned(), "广告".to_owned()];
        let of = |before: &str| {
            let (start, found) = candidates(before, &adapters);
            (start, found.join("|"))
        };
        assert_eq!(of("/h"), (0, "/help|/history".into()));
        assert_eq!(of("/us"), (0, "/use ".into()));
        assert_eq!(of("/").1.split('|').count(), command::names().count());
        assert_eq!(of("/use "), (5, "base|adgen|广告".into()));
        assert_eq!(of("/use 广"), (5, "广告".into()));
        assert_eq!(of("/use adgen b"), (11, "".into()));
        assert_eq!(of("/compare adgen b"), (15, "base".into()));
        assert_eq!(of("/set t"), (5, "temperature |top_p |top_k ".into()));
        assert_eq!(of("/compare\u{3000}a"), (11, "adgen".into()));
        for nothing in ["", "h", "你好 /h", "//h", "/set top_p 0"] {
            assert_eq!(of(nothing).1, "", "{nothing}");
        }
    }
}
