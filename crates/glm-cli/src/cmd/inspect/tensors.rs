//! Tensors of any file: their types, their list, and whether their values are numbers.

use std::collections::BTreeMap;
use std::path::Path;

use glm_model::weights::{WeightFolder, not_finite, safetensors_metadata};
use indicatif::{ProgressBar, ProgressStyle};

use super::report::{Report, bytes, count, several};

/// Most tensors that are listed.
const MOST_LISTED: usize = 20;

/// A file of weights that are neither a base nor a prefix by their names.
pub fn show(path: &Path, weights: &WeightFolder, report: &mut Report) -> anyhow::Result<()> {
    let elements = weights.names().filter_map(|n| weights.get(n)).map(|t| t.len() as u64).sum();
    report.section(
        "Weight file",
        &[
            ("tensors", weights.names().count().to_string()),
            ("values", count(elements)),
            ("stored as", stored_as(weights)),
            ("size", files(weights)),
        ],
    )?;
    metadata(path, report)?;
    let rows: Vec<(&str, String)> = weights
        .names()
        .take(MOST_LISTED)
        .filter_map(|name| weights.entry(name).map(|e| (name, format!("{:<5} {:?}", e.dtype.to_string(), e.shape))))
        .collect();
    let more = weights.names().count() - rows.len();
    report.section("Tensors", &rows)?;
    if more > 0 {
        report.section(&format!("  … and {more} more"), &[])?;
    }
    check_values(weights, report)
}

/// Element types, and how many tensors have each.
pub fn stored_as(weights: &WeightFolder) -> String {
    let mut types: BTreeMap<String, usize> = BTreeMap::new();
    for entry in weights.names().filter_map(|name| weights.entry(name)) {
        *types.entry(entry.dtype.to_string()).or_default() += 1;
    }
    match types.len() {
        1 => types.into_keys().collect(),
        _ => {
            let each = types.iter().map(|(dtype, n)| format!("{dtype} ({})", several(*n, "tensor")));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

/// Number and size of the files, and each one's when there are several.
pub fn files(weights: &WeightFolder) -> String {
    let files: Vec<(&Path, u64)> = weights.files().collect();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let [(path, size)] = files.as_slice() {
        return format!("{}, {}", name(path), bytes(*size));
    }
    let mut text = format!("{}, {}", several(files.len(), "file"), bytes(files.iter().map(|(_, size)| size).sum()));
    for (path, size) in &files {
        text.push_str(&format!("\n{}, {}", name(path), bytes(*size)));
    }
    text
}

/// The free texts of a safetensors header, when the file has one.
pub fn metadata(path: &Path, report: &mut Report) -> anyhow::Result<()> {
    // Any other file has none, and was told already if it is broken.
    let Ok(metadata) = safetensors_metadata(path) else { return Ok(()) };
    if metadata.is_empty() {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let rows: Vec<(&str, String)> = metadata.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    report.section(&format!("Metadata of {name}"), &rows)
}

/// Reads every value and reports those that are not numbers, tensor by tensor.
pub fn check_values(weights: &WeightFolder, report: &mut Report) -> anyhow::Result<()> {
    let bar = progress_bar("checking values");
    bar.set_length(weights.bytes());
    let mut broken = 0;
    for name in weights.names() {
        let Some(tensor) = weights.get(name) else { continue };
        let found = not_finite(&tensor);
        if let Some(first) = found.first {
            broken += 1;
            let (nan, infinite) = (found.nan, found.infinite);
            report.problem(format!("{name}: {nan} NaN and {infinite} infinite values, the first at element {first}"));
        }
        bar.inc(tensor.data.len() as u64);
        weights.release(name);
    }
    bar.finish_and_clear();
    let verdict =
        if broken == 0 { "all finite".into() } else { format!("not finite in {}", several(broken, "tensor")) };
    report.section("Check", &[("values", verdict)])
}

/// A bar for bytes, on standard error and only where that is a terminal.
pub fn progress_bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(what);
    bar
}
