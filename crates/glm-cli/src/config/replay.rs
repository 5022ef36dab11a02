//! Settings of `replay`.

use std::path::PathBuf;

use glm_data::DataConfig;

use super::base::BaseConfig;
use super::origin::Origin;
use super::resolve::data;
use super::tools::adapter;
use crate::args::keys::KeySet;
use crate::args::sources::Given;
use crate::args::tools::ReplayKeys;
use crate::args::usage::{Remark, UsageError, refuse};
use crate::args::{data::DataArgs, data::OurDataArgs};

/// Settings of `replay`.
#[derive(Debug, Clone)]
pub struct ReplaySettings {
    /// The base.
    pub base: BaseConfig,
    /// The adapter; `None`: the bare base.
    pub adapter: Option<Origin>,
    /// Rows to go through.
    pub file: PathBuf,
    /// How many.
    pub samples: usize,
    /// Most tokens of an answer.
    pub max_new_tokens: usize,
    /// How rows become prompts, as the flags say.
    pub data: DataConfig,
    /// Whether a flag says anything of that: else the run of the adapter does.
    pub data_given: bool,
    /// Print json.
    pub json: bool,
    /// Threads.
    pub threads: Option<usize>,
}

impl ReplaySettings {
    /// Resolves the keys.
    ///
    /// # Errors
    /// Names the key that is missing or out of range.
    pub fn resolve(given: &Given<ReplayKeys>) -> Result<(Self, Vec<Remark>), UsageError> {
        let mut remarks = Vec::new();
        given.check_status(&mut remarks)?;
        let keys = &given.keys;
        let base = BaseConfig::new(given, &keys.model, &keys.base)?;
        base.remark(given, &mut remarks);
        let Some(file) = keys.data.test_file.clone() else {
            refuse!("--test_file is missing: give a file of rows to go through")
        };
        for (name, value) in [("max_samples", keys.replay.max_samples), ("max_new_tokens", keys.replay.max_new_tokens)]
        {
            if value == 0 {
                refuse!("{}: expected 1 or more, found 0", given.place(name));
            }
        }
        let of_data = DataArgs::keys().into_iter().chain(OurDataArgs::keys()).map(|key| key.name);
        let data_given = of_data.into_iter().any(|name| name != "test_file" && name != "lenient" && given.has(name));
        let settings = Self {
            base,
            adapter: adapter(given, keys.replay.adapter.as_ref(), &keys.model),
            file,
            samples: keys.replay.max_samples,
            max_new_tokens: keys.replay.max_new_tokens,
            data: data(given, &keys.data, &keys.our_data)?,
            data_given,
            json: keys.replay.json,
            threads: super::outputs::threads(given, keys.base.threads)?,
        };
        Ok((settings, remarks))
    }
}
