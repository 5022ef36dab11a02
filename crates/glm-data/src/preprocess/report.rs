//! What became of the rows, in figures and in words.

use std::fmt;

use serde::Serialize;

use super::fit::Prompt;
use super::sampler::Made;
use crate::config::DataConfig;
use crate::format::{Format, Layout};
use crate::reader::{Row, Rows};

/// How many row numbers of a kind are kept as examples.
const EXAMPLES: usize = 5;

/// What became of the rows of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PreprocessReport {
    /// The format of the rows.
    pub format: Option<Format>,
    /// The format and its columns in words.
    pub layout: String,
    /// Rows in the file, broken ones included.
    pub rows_read: usize,
    /// Rows that became samples.
    pub rows_used: usize,
    /// Samples; more than `rows_used` where each answer of a dialogue is one.
    pub samples: usize,
    /// Answers of the rows used that became no sample: empty, too long or with nothing to learn.
    pub answers_left_out: usize,
    /// Rows left out because prompt or answer is empty.
    pub dropped_empty: usize,
    /// Rows left out because they are broken (only when that was allowed).
    pub skipped_broken: usize,
    /// Rows left out because nothing of their answer would be trained or nothing of their question fits.
    pub untrainable: usize,
    /// Rows left out because they are longer than allowed and not to be cut.
    pub dropped_long: usize,
    /// Samples whose prompt was cut.
    pub prompts_cut: usize,
    /// Samples whose answer was cut.
    pub answers_cut: usize,
    /// Tokens of the samples' prompts before any cut, special tokens included.
    pub prompt_lengths: Lengths,
    /// Tokens of the samples' answers before any cut, without the end token.
    pub answer_lengths: Lengths,
    /// Positions that are scored; in evaluation, tokens of the expected answers.
    pub supervised_tokens: usize,
    /// 1-based lines of the first rows that were cut.
    pub cut_lines: Vec<usize>,
    /// 1-based lines of the first rows that were broken.
    pub broken_lines: Vec<usize>,
    /// 1-based lines of the first rows that could not be trained.
    pub untrainable_lines: Vec<usize>,
    /// 1-based lines of the first rows that were left out because they are too long.
    pub long_lines: Vec<usize>,
    /// The limit of prompts, for the summary.
    pub max_source_length: usize,
    /// The limit of answers, for the summary.
    pub max_target_length: usize,
}

/// Percentiles (nearest rank) of a length in tokens; all 0 when there is nothing to measure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Lengths {
    /// Half of the lengths are at most this.
    pub p50: usize,
    /// 95 % of the lengths are at most this.
    pub p95: usize,
    /// 99 % of the lengths are at most this.
    pub p99: usize,
    /// The greatest length.
    pub max: usize,
}

impl Lengths {
    pub(crate) fn of(mut lengths: Vec<usize>) -> Self {
        lengths.sort_unstable();
        let rank = |percent: usize| {
            let rank = (lengths.len() * percent).div_ceil(100).max(1);
            lengths.get(rank - 1).copied().unwrap_or_default()
        };
        Self { p50: rank(50), p95: rank(95), p99: rank(99), max: rank(100) }
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "p50 {}, p95 {}, p99 {}, max {}", self.p50, self.p95, self.p99, self.max)
    }
}

impl PreprocessReport {
    /// How many rows were used, and why the others were not.
    pub fn counts(&self) -> String {
        let mut text = format!("{} of {} rows used", self.rows_used, self.rows_read);
        for (count, why) in [
            (self.dropped_empty, "with an empty prompt or answer"),
            (self.skipped_broken, "broken"),
            (self.untrainable, "with nothing to learn"),
            (self.dropped_long, "too long"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {why}"));
            }
        }
        if self.samples > self.rows_used {
            text.push_str(&format!("; {} samples, one for each answer", self.samples));
        }
        if self.answers_left_out > 0 {
            text.push_str(&format!(", {} answers left out", self.answers_left_out));
        }
        text
    }

    /// What the user should do something about, one sentence each; empty when all is well.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let share = |count: usize| match 100 * count / self.samples.max(1) {
            0 => "less than 1".to_string(),
            percent => percent.to_string(),
        };
        let at = |lines: &[usize]| format!("first on lines {}", list(lines));
        if self.answers_cut > 0 {
            warnings.push(format!(
                "{} % of answers cut at {} tokens (p95 = {}); raise --max_target_length",
                share(self.answers_cut),
                self.max_target_length,
                self.answer_lengths.p95,
            ));
        }
        if self.prompts_cut > 0 {
            warnings.push(format!(
                "{} % of prompts cut at {} tokens (p95 = {}); raise --max_source_length",
                share(self.prompts_cut),
                self.max_source_length,
                self.prompt_lengths.p95,
            ));
        }
        if self.skipped_broken > 0 {
            warnings.push(format!(
                "broken rows skipped: {} ({})",
                self.skipped_broken,
                at(&sorted(&self.broken_lines))
            ));
        }
        if self.dropped_long > 0 {
            let lines = at(&self.long_lines);
            warnings.push(format!("rows left out because they are too long: {} ({lines})", self.dropped_long));
        }
        if self.untrainable > 0 {
            let lines = at(&self.untrainable_lines);
            warnings.push(format!("rows with nothing to learn from: {} ({lines})", self.untrainable));
        }
        warnings
    }
}

/// One line of figures, then one line for each warning.
impl fmt::Display for PreprocessReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}; prompt tokens: {}; ", self.counts(), self.prompt_lengths)?;
        write!(f, "answer tokens: {}; {} scored", self.answer_lengths, self.supervised_tokens)?;
        self.warnings().iter().try_for_each(|warning| write!(f, "\n{warning}"))
    }
}

fn list(lines: &[usize]) -> String {
    lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Lengths of one sample, and what of it was cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) prompt_len: usize,
    pub(crate) answer_len: usize,
    pub(crate) prompt_cut: bool,
    pub(crate) answer_cut: bool,
    pub(crate) supervised: usize,
}

impl Outcome {
    /// Nothing is supervised yet.
    pub(super) fn of(prompt: &Prompt, answer_len: usize, answer_cut: bool) -> Self {
        Self { prompt_len: prompt.full_len, answer_len, prompt_cut: prompt.is_cut(), answer_cut, supervised: 0 }
    }
}

fn sorted(lines: &[usize]) -> Vec<usize> {
    let mut lines = lines.to_vec();
    lines.sort_unstable();
    lines
}

/// Adds up the outcomes.
pub(crate) struct Recorder {
    report: PreprocessReport,
    prompts: Vec<usize>,
    answers: Vec<usize>,
}

impl Recorder {
    pub(crate) fn new(rows: &Rows, config: &DataConfig, layout: &Layout) -> Self {
        let report = PreprocessReport {
            format: Some(layout.format),
            layout: layout.to_string(),
            rows_read: rows.rows.len() + rows.skipped.len(),
            skipped_broken: rows.skipped.len(),
            broken_lines: rows.skipped.iter().take(EXAMPLES).map(|row| row.line).collect(),
            max_source_length: config.max_source_length,
            max_target_length: config.max_target_length,
            ..PreprocessReport::default()
        };
        Self { report, prompts: Vec::new(), answers: Vec::new() }
    }

    pub(crate) fn broken(&mut self, row: &Row) {
        self.report.skipped_broken += 1;
        note(&mut self.report.broken_lines, row);
    }

    /// Takes what became of the answers of a row.
    pub(crate) fn record<T>(&mut self, row: &Row, made: &[Made<T>]) {
        let samples = made.iter().filter(|made| matches!(made, Made::Sample(..))).count();
        let report = &mut self.report;
        report.samples += samples;
        if samples > 0 {
            report.rows_used += 1;
            report.answers_left_out += made.len() - samples;
        } else if made.iter().any(|made| matches!(made, Made::TooLong(..))) {
            report.dropped_long += 1;
            note(&mut report.long_lines, row);
        } else if made.iter().any(|made| matches!(made, Made::Untrainable)) {
            report.untrainable += 1;
            note(&mut report.untrainable_lines, row);
        } else {
            report.dropped_empty += 1;
        }
        let mut any_cut = false;
        for made in made {
            let Made::Sample(_, outcome) = made else { continue };
            report.prompts_cut += usize::from(outcome.prompt_cut);
            report.answers_cut += usize::from(outcome.answer_cut);
            report.supervised_tokens += outcome.supervised;
            any_cut |= outcome.prompt_cut || outcome.answer_cut;
            self.prompts.push(outcome.prompt_len);
            self.answers.push(outcome.answer_len);
        }
        if any_cut {
            note(&mut report.cut_lines, row);
        }
    }

    pub(crate) fn finish(mut self) -> PreprocessReport {
        self.report.prompt_lengths = Lengths::of(self.prompts);
        self.report.answer_lengths = Lengths::of(self.answers);
        self.report
    }
}

fn note(lines: &mut Vec<usize>, row: &Row) {
    if lines.len() < EXAMPLES {
        lines.push(row.line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_by_nearest_rank() {
        let lengths = Lengths::of((1..=200).rev().collect());
        assert_eq!(lengths, Lengths { p50: 100, p95: 190, p99: 198, max: 200 });
        assert_eq!(Lengths::of(vec![7]), Lengths { p50: 7, p95: 7, p99: 7, max: 7 });
        assert_eq!(Lengths::of(Vec::new()), Lengths::default());
    }

    #[test]
    fn the_summary_says_what_to_do() {
        let report = PreprocessReport {
            rows_read: 104,
            rows_used: 100,
            samples: 100,
            dropped_empty: 4,
            answers_cut: 37,
            answer_lengths: Lengths { p50: 60, p95: 412, p99: 500, max: 600 },
            max_target_length: 64,
            ..PreprocessReport::default()
        };
        let text = report.to_string();
        assert!(text.starts_with("100 of 104 rows used, 4 with an empty prompt or answer; "), "{text}");
        assert!(text.contains("\n37 % of answers cut at 64 tokens (p95 = 412); raise --max_target_length"), "{text}");
    }
}
