//! The settings of a run that is only planned.

use super::{RunConfig, resolve};
use crate::args::sources::{Given, Source};
use crate::args::usage::{Remark, UsageError};
use crate::args::verbs::TrainKeys;

/// Resolves the flags of a training for `plan`: evaluation and prediction are left out, and no output folder is needed.
///
/// # Errors
/// As [`resolve()`].
pub fn resolve_plan(mut given: Given<TrainKeys>) -> Result<(RunConfig, Vec<Remark>), UsageError> {
    let mut set = |name, text| given.set(name, text, Source::Flag);
    set("do_train", "true")?;
    set("do_eval", "false")?;
    set("do_predict", "false")?;
    set("evaluation_strategy", "no")?;
    if !given.has("output_dir") {
        given.set("output_dir", ".", Source::Flag)?;
    }
    resolve(&given, false)
}
