//! The state of a run at a checkpoint: trained tensors, and the moments of their optimizer.

use std::path::Path;

use glm_model::weights::WeightFolder;
use glm_train::trainer::{self, STATE_FILE, TensorKind, tensor_kind};

use super::report::{Report, count};
use super::tensors;

/// Whether all tensors are those of such a state.
pub fn is_one(weights: &WeightFolder) -> bool {
    let mut names = weights.names().peekable();
    names.peek().is_some() && names.all(|name| tensor_kind(name).is_some())
}

/// Shows the state in `weights`, which lies at `path`.
///
/// # Errors
/// When standard output is closed.
pub fn show(path: &Path, weights: &WeightFolder, report: &mut Report) -> anyhow::Result<()> {
    let length = |name: &str| weights.get(name).map(|tensor| tensor.len());
    let (mut trained, mut values) = (0, 0);
    for (name, kind) in weights.names().filter_map(|name| Some((name, tensor_kind(name)?))) {
        match kind {
            TensorKind::Parameter(of) => {
                trained += 1;
                values += length(name).unwrap_or(0) as u64;
                for moment in trainer::moments(of) {
                    if length(&moment) != length(name) {
                        report.problem(format!("{moment} is missing or not as long as {name}"));
                    }
                }
            }
            TensorKind::Moment(of) if length(&trainer::parameter(of)).is_none() => {
                report.problem(format!("{name}: the trained tensor that it belongs to is missing"));
            }
            TensorKind::Moment(_) => {}
        }
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let step = match trainer::saved_step(folder) {
        Ok(step) => step.to_string(),
        Err(_) if !folder.join(STATE_FILE).exists() => format!("not known: {STATE_FILE} is not beside it"),
        Err(error) => {
            report.problem(error);
            "not known".into()
        }
    };
    report.section(
        "Training state",
        &[
            ("holds", format!("{trained} trained tensors and the optimizer's two moments of each")),
            ("step", step),
            ("trained weights", count(values)),
            ("stored as", tensors::stored_as(weights)),
            ("files", tensors::files(weights)),
            ("used by", "--resume_from_checkpoint, given the folder".into()),
        ],
    )?;
    tensors::check_values(weights, report)
}
