//! Reading the first blocks of a base, with embedding and output layer, into their frozen form.

use std::time::Instant;

use glm_model::glm::layout;
use glm_model::variant::Names;
use glm_model::weights::WeightFolder;
use glm_model::{GlmConfig, Network};
use glm_train::memory;
use serde::Serialize;

use super::Base;
use crate::args::usage::{UsageError, of_setting};
use crate::cmd::base::{load_options, scheme};
use crate::config::BenchSettings;

/// Memory that is left to what is measured, beside the weights.
const LEFT: u64 = 500_000_000;

/// What loading took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Loading {
    /// The base, for people.
    pub base: String,
    /// The form that it was loaded into.
    pub scheme: String,
    /// Blocks that were loaded.
    pub blocks: usize,
    /// Blocks that the base has.
    pub layers: usize,
    /// Bytes of the files that were read.
    pub file_bytes: u64,
    /// Bytes of the files in all.
    pub all_file_bytes: u64,
    /// Bytes that the weights occupy.
    pub bytes: usize,
    /// Seconds.
    pub seconds: f64,
    /// Bytes of the files a second.
    pub bytes_per_second: f64,
    /// Seconds that the whole base would take at this speed.
    pub all_seconds: f64,
}

/// What was loaded.
pub(super) struct Loaded {
    /// One block.
    pub one: Network,
    /// Two or more.
    pub all: Network,
    /// Bytes of one block.
    pub block_bytes: f64,
    /// Bytes of the output layer.
    pub output_bytes: f64,
    /// How long it took.
    pub loading: Loading,
}

impl Loaded {
    /// Blocks of the longer network.
    pub fn blocks(&self) -> usize {
        self.all.blocks().len()
    }
}

/// Loads as many blocks as are asked for and fit.
///
/// # Errors
/// When not even one fits, or the folder is broken.
pub(super) fn load(base: &Base, settings: &BenchSettings) -> anyhow::Result<Loaded> {
    let weights = WeightFolder::open(&base.folder)?;
    let stored = weights.entry(Names::of(base.config.variant).embedding).map_or(2, |entry| entry.dtype.size());
    let asked = scheme(&settings.base);
    let held = base.config.quantization_bit.map_or(Ok(asked), |bits| asked.over_stored(bits));
    let held =
        held.map_err(|reason| UsageError(format!("--model_name_or_path {} {reason}", settings.base.path.display())))?;
    let bytes = |num_layers| layout::bytes(&GlmConfig { num_layers, ..base.config.clone() }, held, stored);
    // While the last table is read, its pages of the file are there too.
    let table = (base.config.vocab_size * base.config.hidden_size * stored) as u64;
    let free = memory::available().unwrap_or(u64::MAX);
    let fits = |blocks: &usize| bytes(*blocks).saturating_add(table + LEFT) <= free;
    let layers = base.config.num_layers;
    let Some(blocks) = (1..=settings.blocks.min(layers)).rev().find(fits) else {
        let text = format!(
            "--model_name_or_path {}: one block of it with its embedding and output layer needs {:.1} GB, {:.1} GB are \
             free; --parts kernels measures without loading",
            settings.base.path.display(),
            (bytes(1) + table + LEFT) as f64 / 1e9,
            free as f64 / 1e9
        );
        return Err(UsageError(text).into());
    };
    let options = load_options(&settings.base);
    let all_file_bytes = weights.bytes();
    let mut file_bytes = 0;
    let began = Instant::now();
    let network =
        Network::load_first(&base.folder, blocks, options, &mut |done, _| file_bytes = done).map_err(of_setting)?;
    let seconds = began.elapsed().as_secs_f64();
    let bytes_per_second = file_bytes as f64 / seconds.max(1e-9);
    let one = network.with_blocks(&[0]);
    let block_bytes = (one.bytes() - network.with_blocks(&[]).bytes()) as f64;
    let loading = Loading {
        base: if settings.demo { "the demo's base".into() } else { settings.base.path.display().to_string() },
        scheme: network.held_as(),
        blocks,
        layers,
        file_bytes,
        all_file_bytes,
        bytes: network.bytes(),
        seconds,
        bytes_per_second,
        all_seconds: all_file_bytes as f64 / bytes_per_second.max(1.0),
    };
    let output_bytes = network.output_bytes() as f64;
    // A base of one block is measured twice over.
    let all = if blocks == 1 { network.with_blocks(&[0, 0]) } else { network };
    Ok(Loaded { one, all, block_bytes, output_bytes, loading })
}
