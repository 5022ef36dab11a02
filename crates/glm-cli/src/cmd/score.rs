//! `glmtune score`.

use std::fmt::Write;

use glm_infer::predictions;

use super::output;
use crate::config::PathSettings;

/// Prints the scores of a predictions file. Nothing is written.
///
/// # Errors
/// When the file cannot be read, a line is not a prediction, or there is none.
pub fn run(settings: PathSettings) -> anyhow::Result<()> {
    let summary = predictions::score_file(&settings.path)?;
    let mut out = String::new();
    for (name, score) in [
        ("ROUGE-1", summary.rouge_1),
        ("ROUGE-2", summary.rouge_2),
        ("ROUGE-L", summary.rouge_l),
        ("BLEU-4", summary.bleu_4),
    ] {
        writeln!(out, "{name:<8}{score:>9.4}")?;
    }
    writeln!(out, "{:<8}{:>9}", "pairs", summary.pairs)?;
    writeln!(out, "{:<8}{:>9}{}", "empty", summary.empty, if summary.empty > 0 { "  (each scores 0)" } else { "" })?;
    output::print(&out)
}
