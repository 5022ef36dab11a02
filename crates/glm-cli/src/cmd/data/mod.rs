//! `glmtune data`: looks at files of rows, and writes them in another form.

mod show;

use super::train::limited;
use super::{base, output};
use crate::config::tools::{DataCheckSettings, DataConvertSettings};
use anyhow::{Context, bail};
use glm_data::check::{CheckOptions, check_file, check_texts};
use glm_data::format::convert;
use std::io::Write;

/// `data check`: what is in a file, and what training would make of it.
///
/// # Errors
/// When no row of the file can be used, or the vocabulary of the base that is named cannot be read.
pub fn check(settings: DataCheckSettings) -> anyhow::Result<()> {
    let options = CheckOptions { samples: settings.show, listed: settings.list, rows: settings.rows };
    let mut out = Vec::new();
    let usable = match &settings.base {
        Some(base) => {
            let report = check_file(&settings.file, &base::vocabulary(base)?, &settings.data, options)?;
            match settings.json {
                true => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
                false => show::report(&mut out, &report)?,
            }
            report.source.samples
        }
        None => {
            let report = check_texts(&settings.file, &settings.data, options)?;
            match settings.json {
                true => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
                false => show::texts(&mut out, &report)?,
            }
            eprintln!(
                "note: lengths in tokens, what limits cut, and token ids depend on the vocabulary: give \
                 --model_name_or_path for them"
            );
            report.rows_used
        }
    };
    output::print(&String::from_utf8_lossy(&out))?;
    if usable == 0 {
        bail!("{}: no row can be used for training", settings.file.display());
    }
    Ok(())
}

/// `data convert`: the rows of a file in another form, one json object a line.
///
/// # Errors
/// Names file, line and reason; the file that was to be written is then as it was.
pub fn convert_file(settings: DataConvertSettings) -> anyhow::Result<()> {
    let DataConvertSettings { from, into, to, data, rows } = settings;
    let rows = limited(&from, rows, data.lenient)?;
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
