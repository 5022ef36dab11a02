//! Questions of several lines, from lines.

use super::input::{Event, Input};
use super::messages::Messages;

/// Begins and ends a question of several lines.
const MARK: &str = "\"\"\"";

/// What the user wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// A line, or several that are joined; it may be a command.
    Line(String),
    /// A question, whatever it looks like.
    Question(String),
    /// Ctrl-C.
    Interrupt,
    /// There is no more.
    End,
}

/// Waits for what comes next.
///
/// # Errors
/// As [`Input::next`].
pub fn next(input: &mut Input, messages: Messages) -> anyhow::Result<Said> {
    read(&mut |first| input.next(if first { messages.user() } else { MORE }))
}

/// Waits for the lines of a question up to the mark.
///
/// # Errors
/// As [`Input::next`].
pub fn block(input: &mut Input) -> anyhow::Result<Said> {
    rest_of_block(&mut |_| input.next(MORE), Vec::new())
}

/// Stands before every line but the first.
const MORE: &str = "... ";

/// `line` gives the next line; it is told whether that is the first one.
type Lines<'a> = &'a mut dyn FnMut(bool) -> anyhow::Result<Event>;

fn read(line: Lines<'_>) -> anyhow::Result<Said> {
    let mut text = match line(true)? {
        Event::Text(text) => text,
        Event::Interrupt => return Ok(Said::Interrupt),
        Event::End => return Ok(Said::End),
    };
    if let Some(first) = text.trim_start().strip_prefix(MARK) {
        // What is pasted may hold the end already.
        if let Some(whole) = first.trim_end().strip_suffix(MARK) {
            return Ok(Said::Question(whole.trim_matches('\n').to_owned()));
        }
        let first = Some(first).filter(|first| !first.trim().is_empty());
        return rest_of_block(line, first.map(str::to_owned).into_iter().collect());
    }
    while goes_on(&text) {
        text.pop();
        match line(false)? {
            Event::Text(next) => text = format!("{text}\n{next}"),
            Event::Interrupt => return Ok(Said::Interrupt),
            Event::End => break,
        }
    }
    Ok(Said::Line(text))
}

/// The end of input ends a question too.
fn rest_of_block(line: Lines<'_>, mut lines: Vec<String>) -> anyhow::Result<Said> {
    loop {
        match line(false)? {
            Event::Text(text) if text.trim() == MARK => break,
            Event::Text(text) => lines.push(text),
            Event::Interrupt => return Ok(Said::Interrupt),
            Event::End => break,
        }
    }
    Ok(Said::Question(lines.join("\n")))
}

/// Whether a line ends with a backslash that is not itself behind one.
fn goes_on(text: &str) -> bool {
    text.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that is said in lines; `^C` interrupts.
    fn said(lines: &[&str]) -> Vec<Said> {
        let mut lines = lines.iter();
        let mut next = |_: bool| {
            Ok(match lines.next() {
                Some(&"^C") => Event::Interrupt,
                Some(line) => Event::Text((*line).to_owned()),
                None => Event::End,
            })
        };
        let mut all = Vec::new();
        loop {
            match read(&mut next).unwrap() {
                Said::End => return all,
                said => all.push(said),
            }
        }
    }

    #[test]
    fn lines_become_questions() {
        let line = |text: &str| Said::Line(text.into());
        let question = |text: &str| Said::Question(text.into());
        for (lines, expected) in [
            (&["a", "", "/help"][..], vec![line("a"), line(""), line("/help")]),
            (&["a\\", "b\\", "c", "d"], vec![line("a\nb\nc"), line("d")]),
            (&["a\\\\", "b"], vec![line("a\\\\"), line("b")]),
            (&["a\\"], vec![line("a")]),
            (&["a\\", "^C", "b"], vec![Said::Interrupt, line("b")]),
            (&["\"\"\"", "a", "", "/help", "\"\"\"", "b"], vec![question("a\n\n/help"), line("b")]),
            (&["  \"\"\"a", "b\\", " \"\"\" "], vec![question("a\nb\\")]),
            (&["\"\"\"a\"\"\"", "b"], vec![question("a"), line("b")]),
            (&["\"\"\"\na\nb\n\"\"\""], vec![question("a\nb")]),
            (&["\"\"\"", "a"], vec![question("a")]),
            (&["\"\"\"", "a", "^C", "b"], vec![Said::Interrupt, line("b")]),
            (&["a \"\"\""], vec![line("a \"\"\"")]),
        ] {
            assert_eq!(said(lines), expected, "{lines:?}");
        }
    }
}
