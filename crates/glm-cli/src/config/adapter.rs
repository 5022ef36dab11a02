//! What trains or is used on a base, and the files that it comes from.

use std::path::{Path, PathBuf};

use glm_model::Trains;
use glm_serve::check_name;
use serde::{Deserialize, Serialize};

use super::origin::Origin;
use crate::args::keys::KeySet;
use crate::args::model::ModelArgs;
use crate::args::sources::Given;
use crate::args::types::NamedPaths;
use crate::args::usage::{UsageError, refuse};

/// What is trained, or used on the base. Sizes are always present without files to begin with; with them they may be
/// absent, and must agree with the files when they are not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "method", deny_unknown_fields)]
pub enum AdapterConfig {
    /// A prefix (P-Tuning v2).
    Ptuning {
        /// A trained prefix to begin with, or to use; `None`: a fresh one.
        init_from: Option<Origin>,
        /// Trained positions.
        pre_seq_len: Option<usize>,
        /// Whether a small network makes the prefix.
        prefix_projection: Option<bool>,
        /// Dropout on the prefix in training.
        dropout: f32,
    },
    /// Low-rank additions to linear layers.
    Lora {
        /// A trained adapter to begin with, or to use; `None`: a fresh one.
        init_from: Option<Origin>,
        /// Rank of the factors.
        rank: Option<usize>,
        /// The additions are scaled by alpha / rank.
        alpha: Option<f64>,
        /// Dropout on the input of the factors in training.
        dropout: Option<f32>,
        /// Names of linear layers, separated by commas.
        target: Option<String>,
        /// Scale by alpha / √rank instead.
        use_rslora: Option<bool>,
    },
    /// Whatever the files hold.
    FromFile {
        /// The files.
        init_from: Origin,
        /// Dropout in training if they hold a prefix.
        prefix_dropout: f32,
    },
    /// Every weight of the base.
    Full,
    /// Every weight of the last blocks.
    Freeze {
        /// How many blocks.
        num_layer_trainable: usize,
    },
}

impl AdapterConfig {
    /// Files to begin with, or to use.
    pub fn init_from(&self) -> Option<&Path> {
        self.origin().map(Origin::path)
    }

    /// The same with the flag that named them.
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Ptuning { init_from, .. } | Self::Lora { init_from, .. } => init_from.as_ref(),
            Self::FromFile { init_from, .. } => Some(init_from),
            Self::Full | Self::Freeze { .. } => None,
        }
    }

    /// The weights of the base itself that train.
    pub fn trains(&self) -> Trains {
        match self {
            Self::Full => Trains::All,
            Self::Freeze { num_layer_trainable } => Trains::LastBlocks(*num_layer_trainable),
            _ => Trains::Nothing,
        }
    }

    /// The adapter that `chat` uses.
    ///
    /// # Errors
    /// When flags contradict one another, or name a prefix without files.
    pub fn to_use<K: KeySet>(
        given: &Given<K>,
        model: &ModelArgs,
        files: &Files<'_>,
    ) -> Result<Option<Self>, UsageError> {
        check_prefix(given, model)?;
        files.only_one(given)?;
        let prefix = prefix_asked(given, model);
        let origin = |(key, path)| Origin::new(path, given.place(key));
        match (files.named(), prefix) {
            (None, Some(key)) => refuse!(
                "{} without --ptuning_checkpoint would use an untrained, random prefix: give the checkpoint, or leave it out \
                 to use the bare base",
                given.place(key)
            ),
            (None, None) => Ok(None),
            (Some((key @ "lora_checkpoint", _)), Some(prefix)) => refuse!(
                "{} and {} contradict each other: the one names LoRA, the other a prefix",
                given.place(key),
                given.place(prefix)
            ),
            (Some(named @ ("lora_checkpoint", _)), None) => Ok(Some(Self::lora_of(origin(named)))),
            (Some(named @ ("init_from", _)), None) => {
                Ok(Some(Self::FromFile { init_from: origin(named), prefix_dropout: 0.0 }))
            }
            (Some(named), _) => Ok(Some(Self::Ptuning {
                init_from: Some(origin(named)),
                pre_seq_len: model.pre_seq_len,
                prefix_projection: given.has("prefix_projection").then_some(model.prefix_projection),
                dropout: 0.0,
            })),
        }
    }

    /// LoRA as its files have it.
    fn lora_of(origin: Origin) -> Self {
        let init_from = Some(origin);
        Self::Lora { init_from, rank: None, alpha: None, dropout: None, target: None, use_rslora: None }
    }
}

/// The flags that name files of an adapter.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// `--ptuning_checkpoint`.
    pub ptuning: Option<&'a Path>,
    /// `--lora_checkpoint`.
    pub lora: Option<&'a Path>,
    /// `--init_from`.
    pub any: Option<&'a Path>,
}

impl<'a> Files<'a> {
    fn all(&self) -> impl Iterator<Item = (&'static str, &'a Path)> {
        let all = [("ptuning_checkpoint", self.ptuning), ("lora_checkpoint", self.lora), ("init_from", self.any)];
        all.into_iter().filter_map(|(name, path)| Some((name, path?)))
    }

    /// The first of them, with its name.
    pub fn named(&self) -> Option<(&'static str, &'a Path)> {
        self.all().next()
    }

    /// Refuses more than one.
    ///
    /// # Errors
    /// Names two of them.
    pub fn only_one<K: KeySet>(&self, given: &Given<K>) -> Result<(), UsageError> {
        let mut all = self.all();
        if let (Some((one, _)), Some((other, _))) = (all.next(), all.next()) {
            refuse!("{} and {}: one adapter is used at a time; give one of them", given.place(one), given.place(other));
        }
        if let Some((key, path)) = self.named().filter(|(_, path)| path.to_string_lossy().contains(',')) {
            refuse!(
                "{} {}: expected one adapter; several are not merged into the base",
                given.place(key),
                path.display()
            );
        }
        Ok(())
    }
}

/// What is named by `--adapter NAME=PATH`, or by another `key` of that form. Names in `reserved` stand for something else.
///
/// # Errors
/// When a name cannot be used, or is given twice.
pub fn named<K: KeySet>(
    given: &Given<K>,
    key: &str,
    adapters: &NamedPaths,
    reserved: &[&str],
) -> Result<Vec<(String, PathBuf)>, UsageError> {
    let place = || given.place(key);
    for (number, (name, _)) in adapters.0.iter().enumerate() {
        check_name(name).map_err(|error| UsageError(format!("{}: {error}", place())))?;
        if adapters.0[..number].iter().any(|(before, _)| before == name) {
            refuse!("{}: the name {name} is given twice", place());
        }
        if reserved.contains(&name.as_str()) {
            refuse!("{}: the name {name} stands for the bare base; give the adapter another one", place());
        }
    }
    Ok(adapters.0.clone())
}

/// A key that asks for a prefix, if one was given.
pub fn prefix_asked<K: KeySet>(given: &Given<K>, model: &ModelArgs) -> Option<&'static str> {
    let projection = model.prefix_projection.then_some("prefix_projection");
    let others = ["ptuning_checkpoint", "pre_seq_len", "prefix_dropout"].into_iter().find(|name| given.has(name));
    others.or(projection)
}

/// Refuses a prefix without a length.
///
/// # Errors
/// When the length is 0, or a projection is asked for without a prefix.
pub fn check_prefix<K: KeySet>(given: &Given<K>, model: &ModelArgs) -> Result<(), UsageError> {
    if model.pre_seq_len == Some(0) {
        refuse!("{}: expected 1 or more, found 0; leave it out for no prefix", given.place("pre_seq_len"));
    }
    if model.prefix_projection
        && model.pre_seq_len.is_none()
        && !["ptuning_checkpoint", "init_from"].iter().any(|k| given.has(k))
    {
        refuse!("{} needs --pre_seq_len: there is no prefix to project", given.place("prefix_projection"));
    }
    Ok(())
}
