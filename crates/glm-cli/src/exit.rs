//! What is left of an error: its text, and an exit code that tells whether to look at the command, or at what it was run on.

use glm_data::DataError;
use glm_train::TrainError;

use crate::args::usage::UsageError;

/// Exit code of a run that failed: files that are broken, a disk, the network, numbers that are not finite.
const FAILED: u8 = 1;
/// Exit code of a mistake in flags or configuration files, be it by themselves, or that they do not fit the base, the
/// adapter, the checkpoint or the memory.
pub const USAGE: u8 = 2;

/// The exit code that tells of an error.
pub fn code(error: &anyhow::Error) -> u8 {
    let limits = matches!(error.downcast_ref(), Some(DataError::NoRoom { .. } | DataError::Config(_)));
    let other_run = matches!(error.downcast_ref(), Some(TrainError::OtherRun { .. }));
    if limits || other_run || error.is::<UsageError>() { USAGE } else { FAILED }
}

/// An error and its causes.
pub fn text(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Many errors name their cause themselves.
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_mistake_of_usage_is_known_behind_its_context() {
        let usage = || anyhow::Error::from(UsageError("--x".into()));
        let failed = || anyhow::Error::from(std::io::Error::other("no"));
        assert_eq!((code(&usage()), code(&failed())), (USAGE, FAILED));
        assert_eq!(code(&Err::<(), _>(usage()).context("a").context("b").unwrap_err()), USAGE);
        assert_eq!(code(&Err::<(), _>(failed()).context("a").unwrap_err()), FAILED);
        let limit = DataError::NoRoom { limit: 3, needed: 4, variant: "chatglm2" };
        assert_eq!(code(&limit.into()), USAGE);
    }
}
