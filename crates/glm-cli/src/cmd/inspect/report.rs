//! Aligned lines on standard output, and the problems to be told at the end.

use std::fmt::Display;
use std::io::Write;

/// What was found so far. Facts are printed at once, since looking at large files takes a while.
#[derive(Debug, Default)]
pub struct Report {
    problems: Vec<String>,
}

impl Report {
    /// The first line.
    ///
    /// # Errors
    /// When standard output is closed, as for all that prints.
    pub fn title(&mut self, title: &str) -> anyhow::Result<()> {
        Ok(writeln!(std::io::stdout(), "{title}")?)
    }

    /// A heading and the facts under it, in two columns.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn section(&mut self, heading: &str, facts: &[(&str, String)]) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\n{heading}")?;
        let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(16);
        for (name, fact) in facts {
            let gap = " ".repeat(width - name.chars().count());
            let indented = fact.replace('\n', &format!("\n{}", " ".repeat(width + 4)));
            writeln!(out, "  {name}{gap}  {indented}")?;
        }
        Ok(())
    }

    /// Keeps something broken for the end.
    pub fn problem(&mut self, problem: impl Display) {
        self.problems.push(problem.to_string());
    }

    /// Number of problems.
    pub fn problems(&self) -> usize {
        self.problems.len()
    }

    /// The last section, when there are problems.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn print_problems(&self) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if !self.problems.is_empty() {
            writeln!(out, "\nProblems")?;
        }
        for problem in &self.problems {
            writeln!(out, "  {}", problem.replace('\n', "\n  "))?;
        }
        Ok(())
    }
}

/// A number of bytes, in powers of 1000 as disks are sold.
pub fn bytes(n: u64) -> String {
    scaled(n, &[(1_000_000_000, " GB"), (1_000_000, " MB"), (1_000, " kB")]).unwrap_or_else(|| format!("{n} bytes"))
}

/// A number of weights.
pub fn count(n: u64) -> String {
    let exact = grouped(n);
    match scaled(n, &[(1_000_000_000, " billion"), (1_000_000, " million")]) {
        Some(short) => format!("{short} ({exact})"),
        None => exact,
    }
}

fn scaled(n: u64, units: &[(u64, &str)]) -> Option<String> {
    let (unit, name) = units.iter().find(|(unit, _)| n >= *unit)?;
    Some(format!("{:.2}{name}", n as f64 / *unit as f64))
}

fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `2 files`.
pub fn several(n: usize, name: &str) -> String {
    format!("{n} {name}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(12_487_168_064), "12.49 GB");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(123_456), "123,456");
        assert_eq!(count(6_243_584_000), "6.24 billion (6,243,584,000)");
        assert_eq!(several(1, "file"), "1 file");
        assert_eq!(several(0, "file"), "0 files");
    }
}
