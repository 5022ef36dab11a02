//! `glmtune data`: looks at files of rows, and writes them in another form.

mod show;

use super::base;
use crate::config::tools::{DataCheckSettings, DataConvertSettings};
use anyhow::{Context, bail};
use glm_data::check::{CheckOptions, check_file};
use glm_data::format::convert;
use glm_data::read_rows;
use std::io::Write;

/// `data check`: what is in a file, and what training would make of it.
///
/// # Errors
/// When no row of the file can be used, or the vocabulary cannot be read.
pub fn check(settings: DataCheckSettings) -> anyhow::Result<()> {
    let tokenizer = base::vocabulary(&settings.base)?;
    let options = CheckOptions { samples: settings.show, listed: settings.list };
    let report = check_file(&settings.file, &tokenizer, &settings.data, options)?;
    let mut out = std::io::stdout().lock();
    if settings.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        show::report(&mut out, &report)?;
    }
    if report.source.samples == 0 {
        bail!("{}: no row can be used for training", settings.file.display());
    }
    Ok(())
}

/// `data convert`: the rows of a file in another form, one json object a line.
///
/// # Errors
/// Names file, line and reason; the file that was to be written is then as it was.
pub fn convert_file(settings: DataConvertSettings) -> anyhow::Result<()> {
    let DataConvertSettings { from, into, to, data } = settings;
    if into.exists() {
        bail!("{}: it exists already; give another file, for nothing is replaced", into.display());
    }
    let rows = read_rows(&from, data.lenient)?;
    let mut lines = Vec::new();
    let report = convert(&rows, &data, to, &mut lines)?;
    if let Some(parent) = into.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    }
    glm_train::atomic::write_file(&into, &lines)?;
    eprintln!(
        "{}: {}; {} of {} rows written to {}",
        from.display(),
        report.format,
        report.rows_written,
        report.rows_read,
        into.display()
    );
    for row in report.skipped.iter().take(10) {
        eprintln!("  line {}: {}", row.line, row.reason);
    }
    Ok(())
}
