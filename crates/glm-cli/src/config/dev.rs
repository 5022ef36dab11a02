//! Settings of `score`, `inspect`, `demo` and the development commands.

use std::path::PathBuf;

use glm_data::Variant;
use serde::Serialize;

use super::outputs;
use crate::args::sources::Given;
use crate::args::types::{FileDtype, FileFormat};
use crate::args::usage::{UsageError, refuse};
use crate::args::verbs::{DemoBaseKeys, DemoKeys, RandomBaseKeys};

/// Settings of `score` and `inspect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PathSettings {
    /// The file or folder.
    pub path: PathBuf,
}

/// Settings of `demo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DemoSettings {
    /// Folder of the run.
    pub output_dir: PathBuf,
    /// Seed of everything random.
    pub seed: u64,
    /// Threads to compute with; `None`: one a core.
    pub threads: Option<usize>,
}

impl DemoSettings {
    /// Resolves the keys.
    ///
    /// # Errors
    /// When the number of threads is 0.
    pub fn resolve(given: &Given<DemoKeys>) -> Result<Self, UsageError> {
        let keys = &given.keys;
        let threads = outputs::threads(given, keys.threads)?;
        Ok(Self { output_dir: keys.output_dir.clone(), seed: keys.seed, threads })
    }
}

/// Settings of `dev demo-base`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DemoBaseSettings {
    /// Folder to write.
    pub out: PathBuf,
    /// Threads to compute with; `None`: one a core.
    pub threads: Option<usize>,
}

impl DemoBaseSettings {
    /// Resolves the keys.
    ///
    /// # Errors
    /// When the folder is missing, or the number of threads is 0.
    pub fn resolve(given: &Given<DemoBaseKeys>) -> Result<Self, UsageError> {
        Ok(Self { out: out(&given.keys.out)?, threads: outputs::threads(given, given.keys.threads)? })
    }
}

/// Sizes that replace the variant's own; `None`: as the variant has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Widths {
    /// Width of the hidden states.
    pub hidden_size: Option<usize>,
    /// Width inside the MLP.
    pub ffn_hidden_size: Option<usize>,
    /// Query heads.
    pub num_attention_heads: Option<usize>,
    /// Key and value groups.
    pub multi_query_group_num: Option<usize>,
    /// Width of a head.
    pub kv_channels: Option<usize>,
    /// Rows of the embedding.
    pub padded_vocab_size: Option<usize>,
    /// Longest text.
    pub seq_length: Option<usize>,
}

/// Settings of `dev random-base`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RandomBaseSettings {
    /// Folder to write.
    pub out: PathBuf,
    /// Member of the family.
    pub variant: Variant,
    /// Number of layers.
    pub layers: usize,
    /// Seed of the weights.
    pub seed: u64,
    /// Number format in the files.
    pub dtype: FileDtype,
    /// File format.
    pub format: FileFormat,
    /// Most bytes of one file.
    pub shard_size: u64,
    /// Vocabulary to put into the folder.
    pub tokenizer: Option<PathBuf>,
    /// Sizes that replace the variant's own.
    pub widths: Widths,
}

impl RandomBaseSettings {
    /// Resolves the keys.
    ///
    /// # Errors
    /// When the folder is missing, or a size is 0.
    pub fn resolve(given: &Given<RandomBaseKeys>) -> Result<Self, UsageError> {
        let keys = &given.keys;
        let widths = Widths {
            hidden_size: keys.hidden_size,
            ffn_hidden_size: keys.ffn_hidden_size,
            num_attention_heads: keys.num_attention_heads,
            multi_query_group_num: keys.multi_query_group_num,
            kv_channels: keys.kv_channels,
            padded_vocab_size: keys.padded_vocab_size,
            seq_length: keys.seq_length,
        };
        for (name, size) in [
            ("layers", Some(keys.layers)),
            ("shard_size", Some(keys.shard_size.0.min(1) as usize)),
            ("hidden_size", widths.hidden_size),
            ("ffn_hidden_size", widths.ffn_hidden_size),
            ("num_attention_heads", widths.num_attention_heads),
            ("multi_query_group_num", widths.multi_query_group_num),
            ("kv_channels", widths.kv_channels),
            ("padded_vocab_size", widths.padded_vocab_size),
            ("seq_length", widths.seq_length),
        ] {
            if size == Some(0) {
                refuse!("{}: expected 1 or more, found 0", given.place(name));
            }
        }
        Ok(Self {
            out: out(&keys.out)?,
            variant: keys.variant,
            layers: keys.layers,
            seed: keys.seed,
            dtype: keys.dtype,
            format: keys.format,
            shard_size: keys.shard_size.0,
            tokenizer: keys.tokenizer.clone(),
            widths,
        })
    }
}

fn out(folder: &Option<PathBuf>) -> Result<PathBuf, UsageError> {
    match folder {
        Some(folder) => Ok(folder.clone()),
        None => refuse!("--out is missing: give the folder to write"),
    }
}
