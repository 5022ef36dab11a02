//! Loading what every verb starts from: base, vocabulary and adapter.

use super::adapter::{self, Opened};
use super::not_base::refuse_adapter;
use super::quantized_cache;
use crate::args::types::BaseDtype;
use crate::args::usage::{UsageError, of_setting, refuse};
use crate::config::adapter::AdapterConfig;
use crate::config::base::{BaseConfig, Quantization};
use crate::config::origin::Origin;
use crate::hub;
use anyhow::Context;
use glm_data::Tokenizer;
use glm_model::glm::layout;
use glm_model::quantized_file::QuantizedFile;
use glm_model::variant::Names;
use glm_model::weights::WeightFolder;
use glm_model::{DenseType, GlmConfig, LoadOptions, Network, Scheme, Trains};
use glm_train::{Adapter, memory};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A base with its vocabulary, and the adapter of a checkpoint.
#[derive(Debug)]
pub struct Loaded {
    /// Folder that it was loaded from.
    pub folder: PathBuf,
    /// The base, frozen unless its weights train.
    pub network: Network,
    /// Its vocabulary.
    pub tokenizer: Tokenizer,
    /// The trained adapter; `None` when no files were named.
    pub adapter: Option<Adapter>,
}

/// What is small and is read first, so that nothing large is loaded in vain.
pub struct Prepared<'a> {
    base: &'a BaseConfig,
    folder: PathBuf,
    /// The vocabulary.
    pub tokenizer: Tokenizer,
    /// The configuration.
    pub config: GlmConfig,
    opened: Option<Opened>,
    trains: Trains,
}

/// Finds the base, downloading it if need be, reads the configuration, the vocabulary and, when `adapter` names files,
/// these, and compares them.
///
/// # Errors
/// Names the file, what was expected, what was found and what to do.
pub fn prepare<'a>(base: &'a BaseConfig, adapter: Option<&AdapterConfig>) -> anyhow::Result<Prepared<'a>> {
    let folder = hub::resolve(&base.path, &base.hub).context("--model_name_or_path")?;
    // The verbs that have this flag have no other for LoRA.
    let any = adapter.and_then(AdapterConfig::origin).map(Origin::place).filter(|place| *place == "--adapter");
    refuse_adapter(&folder, any)?;
    let config = GlmConfig::read(&folder)?;
    let tokenizer = tokenizer(&folder, &config)?;
    let trains = adapter.map_or(Trains::Nothing, AdapterConfig::trains);
    check_trainable(&folder, &config, trains)?;
    let opened = adapter::open(adapter, &config)?;
    Ok(Prepared { base, folder, tokenizer, config, opened, trains })
}

/// Refuses to train the weights of a base that cannot, before anything large is read.
fn check_trainable(folder: &Path, config: &GlmConfig, trains: Trains) -> Result<(), UsageError> {
    let (layers, what) = match trains {
        Trains::Nothing => return Ok(()),
        Trains::All => (config.num_layers, "all weights".to_owned()),
        Trains::LastBlocks(count) if count > config.num_layers => {
            refuse!("--num_layer_trainable {count}: {} has {} layers", folder.display(), config.num_layers)
        }
        Trains::LastBlocks(count) => (count, format!("the last {count} layers")),
    };
    if let Some(bits) = config.quantization_bit {
        refuse!(
            "--model_name_or_path {}: its weights are stored in INT{bits} and cannot train. Train an adapter over them \
             (--pre_seq_len 128 for a prefix, --method lora for LoRA), or give the unquantized folder",
            folder.display()
        );
    }
    let Some(available) = memory::available() else { return Ok(()) };
    let count = |num_layers| layout::parameter_count(&GlmConfig { num_layers, ..config.clone() });
    let frozen = match trains {
        Trains::LastBlocks(_) => count(config.num_layers - layers),
        _ => 0,
    };
    // Weights, gradients and two moments, all in f32; what is frozen takes 2 bytes a weight or more.
    let needed = 16 * (count(config.num_layers) - frozen) + 2 * frozen;
    if needed > available {
        refuse!(
            "training {what} of {} needs at least {:.1} GB (weights, gradients and two moments in f32), {:.1} GB are \
             free: train an adapter instead (--pre_seq_len 128 for a prefix, --method lora for LoRA)",
            folder.display(),
            needed as f64 / 1e9,
            available as f64 / 1e9
        );
    }
    Ok(())
}

/// What is known of a base before its weights are loaded.
pub struct About {
    /// Its configuration.
    pub config: GlmConfig,
    /// Bytes of an element of its matrices in its files.
    pub stored_bytes: usize,
    /// The adapter of the files that the settings name.
    pub adapter: Option<Adapter>,
    /// Where the quantized form is kept, if it is.
    pub quantized: Option<QuantizedFile>,
}

impl Prepared<'_> {
    fn options(&self) -> LoadOptions {
        LoadOptions { trains: self.trains, ..load_options(self.base) }
    }

    /// What decides memory and time.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn about(&self) -> anyhow::Result<About> {
        let config = self.config.clone();
        let weights = WeightFolder::open(&self.folder)?;
        let embedding = weights.entry(Names::of(config.variant).embedding);
        let stored_bytes = embedding.map_or(2, |entry| entry.dtype.size());
        let adapter = self.opened.as_ref().map(|opened| opened.adapter.clone());
        let quantized = quantized_cache::file(&self.base.quantized_cache, &config, &weights, self.options());
        Ok(About { config, stored_bytes, adapter, quantized })
    }

    /// Loads the first `layers` blocks only; `trains` says which of these train.
    ///
    /// # Errors
    /// As [`Prepared::load`].
    pub fn load_first(&self, layers: usize, trains: Trains) -> anyhow::Result<Network> {
        let options = LoadOptions { trains, ..self.options() };
        Network::load_first(&self.folder, layers, options, &mut |_, _| {}).map_err(of_setting)
    }

    /// Loads the weights. A bar on standard error shows the bytes when `progress` and that is a terminal.
    ///
    /// # Errors
    /// Names the file and every tensor that does not fit.
    pub fn load(self, progress: bool) -> anyhow::Result<Loaded> {
        let target = if progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("loading {bar:28.cyan/blue} {bytes}/{total_bytes}, ETA {eta}") {
            bar.set_style(style.progress_chars("━╸─"));
        }
        let options = self.options();
        let weights = WeightFolder::open(&self.folder).map_err(of_setting)?;
        let file = quantized_cache::file(&self.base.quantized_cache, &self.config, &weights, options);
        let mut show = |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        };
        let loaded = || bar.finish_and_clear();
        let network = quantized_cache::load(self.config, &weights, options, file.as_ref(), &mut show, loaded)
            .map_err(of_setting)?;
        if let Some(opened) = &self.opened {
            let now = [
                ("base_fingerprint", network.fingerprint().to_owned()),
                ("base_scheme", network.held_as()),
                ("variant", network.config().variant.name().to_owned()),
            ];
            warn_of_another_base(&opened.trained_on, &now);
        }
        let adapter = self.opened.map(|opened| opened.adapter);
        Ok(Loaded { folder: self.folder, network, tokenizer: self.tokenizer, adapter })
    }
}

/// An adapter works on the base that it was trained on; another form of it usually costs a little, another model everything.
pub fn warn_of_another_base(trained_on: &BTreeMap<String, String>, now: &[(&str, String)]) {
    for (key, now) in now {
        if let Some(before) = trained_on.get(*key).filter(|before| *before != now) {
            eprintln!(
                "warning: the adapter was trained on a base with {key} {before}, this one has {now}; scores may differ"
            );
        }
    }
}

/// [`prepare`] and [`Prepared::load`] in one.
///
/// # Errors
/// As both.
pub fn load(base: &BaseConfig, adapter: Option<&AdapterConfig>) -> anyhow::Result<Loaded> {
    prepare(base, adapter)?.load(true)
}

/// How the base is loaded where nothing of it trains.
pub fn load_options(base: &BaseConfig) -> LoadOptions {
    LoadOptions {
        scheme: scheme(base),
        trains: Trains::Nothing,
        compute: base.compute.into(),
        output_layer: output_layer(base),
    }
}

/// The form of the output layer that was asked for.
pub fn output_layer(base: &BaseConfig) -> Option<Scheme> {
    base.output_layer.map(quantized)
}

fn quantized(quantization: Quantization) -> Scheme {
    match quantization {
        Quantization::Int8 => Scheme::Int8,
        Quantization::Int4 => Scheme::Int4,
        Quantization::Int4Grouped { group } => Scheme::Int4Group { group },
    }
}

/// The form of the frozen weights that was asked for.
pub fn scheme(base: &BaseConfig) -> Scheme {
    match base.quantization {
        Some(quantization) => quantized(quantization),
        None => Scheme::Dense {
            dtype: match base.dtype {
                BaseDtype::Auto => None,
                BaseDtype::F32 => Some(DenseType::F32),
                BaseDtype::Bf16 => Some(DenseType::Bf16),
                BaseDtype::F16 => Some(DenseType::F16),
            },
        },
    }
}

/// The vocabulary of a base, without anything else of it.
///
/// # Errors
/// As [`prepare`].
pub fn vocabulary(base: &BaseConfig) -> anyhow::Result<Tokenizer> {
    let folder = hub::resolve(&base.path, &base.hub).context("--model_name_or_path")?;
    tokenizer(&folder, &GlmConfig::read(&folder)?)
}

fn tokenizer(folder: &Path, config: &GlmConfig) -> anyhow::Result<Tokenizer> {
    Ok(Tokenizer::from_folder(folder, config.variant, Some(config.vocab_size))?)
}
