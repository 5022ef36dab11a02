//! The report on a file of rows, for people.

use glm_data::SkippedRow;
use glm_data::check::{CheckReport, LengthReport, Listing, Repeat, ShownSample, SpecialString, TextReport};
use std::io::{Result, Write};

/// Widest bar of a histogram.
const BAR: usize = 40;
/// Most lines of rows that are named for one repetition.
const LINES: usize = 6;

/// Prints it.
pub fn report(out: &mut impl Write, report: &CheckReport) -> Result<()> {
    writeln!(out, "{}: {} bytes, {}", report.file.display(), report.bytes, report.preprocess)?;
    if let Some(note) = &report.note {
        writeln!(out, "note: {note}")?;
    }
    lengths(out, "prompt tokens", &report.source)?;
    lengths(out, "answer tokens", &report.target)?;
    broken(out, &report.broken)?;
    list(out, "answers left out", &report.left_out, |row| format!("line {}: {}", row.line, row.reason))?;
    strings(out, &report.special_strings, &report.damaged)?;
    repeats(out, &report.duplicates, &report.contradictions)?;
    report.shown.iter().try_for_each(|sample| shown(out, sample))
}

/// Prints what could be said without a vocabulary.
pub fn texts(out: &mut impl Write, report: &TextReport) -> Result<()> {
    let (file, broken_rows) = (report.file.display(), report.broken.count);
    writeln!(out, "{file}: {} bytes, {}", report.bytes, report.layout)?;
    write!(out, "{} of {} rows have a question and an answer", report.rows_used, report.rows_read)?;
    writeln!(out, "; {} are empty, {broken_rows} broken", report.empty)?;
    if let Some(note) = &report.note {
        writeln!(out, "note: {note}")?;
    }
    writeln!(out, "\nprompt characters: {}", report.prompt_characters)?;
    writeln!(out, "answer characters: {}", report.answer_characters)?;
    broken(out, &report.broken)?;
    strings(out, &report.special_strings, &report.damaged)?;
    repeats(out, &report.duplicates, &report.contradictions)
}

fn broken(out: &mut impl Write, rows: &Listing<SkippedRow>) -> Result<()> {
    list(out, "rows that cannot be used", rows, |row| format!("line {}: {}", row.line, row.reason))
}

fn strings(out: &mut impl Write, special: &Listing<SpecialString>, damaged: &Listing<usize>) -> Result<()> {
    list(out, "special tokens in texts (they stay ordinary characters)", special, |found| {
        format!("line {} ({}): {}", found.line, found.role.name(), found.text)
    })?;
    list(out, "texts with U+FFFD, the trace of a wrong decoding", damaged, |line| format!("line {line}"))
}

fn repeats(out: &mut impl Write, duplicates: &Listing<Repeat>, contradictions: &Listing<Repeat>) -> Result<()> {
    list(out, "duplicates (same prompt, same answer)", duplicates, repeated)?;
    list(out, "contradictions (same prompt, other answer)", contradictions, repeated)
}

fn repeated(repeat: &Repeat) -> String {
    let lines: Vec<String> = repeat.lines.iter().take(LINES).map(ToString::to_string).collect();
    let more = if repeat.lines.len() > LINES { ", …" } else { "" };
    format!("lines {}{more}", lines.join(", "))
}

fn lengths(out: &mut impl Write, what: &str, report: &LengthReport) -> Result<()> {
    writeln!(out, "\n{what}: {}", report.lengths)?;
    let most = report.buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0).max(1);
    for bucket in &report.buckets {
        let bar = "█".repeat((bucket.count * BAR).div_ceil(most));
        let over = if bucket.from > report.limit { "  over the limit" } else { "" };
        writeln!(out, "  {:>6} to {:<6} {bar:<BAR$} {}{over}", bucket.from, bucket.to, bucket.count)?;
    }
    writeln!(
        out,
        "  the limit of {} cuts {} of {} ({:.1} %)",
        report.limit,
        report.cut,
        report.samples,
        report.cut_percent()
    )
}

fn list<T>(out: &mut impl Write, what: &str, listing: &Listing<T>, show: impl Fn(&T) -> String) -> Result<()> {
    if listing.count == 0 {
        return Ok(());
    }
    writeln!(out, "\n{what}: {}", listing.count)?;
    for entry in &listing.first {
        writeln!(out, "  {}", show(entry))?;
    }
    if listing.count > listing.first.len() {
        writeln!(out, "  … and {} more", listing.count - listing.first.len())?;
    }
    Ok(())
}

/// Ids and labels of a sample, one token a line.
fn shown(out: &mut impl Write, sample: &ShownSample) -> Result<()> {
    writeln!(out, "\nsample of line {}: id, label (- is not learned), text", sample.line)?;
    for token in &sample.tokens {
        let label = token.label.map_or("-".to_owned(), |label| label.to_string());
        writeln!(out, "  {:>7} {label:>7}  {:?}", token.id, token.text)?;
    }
    Ok(())
}
