//! Loading what every verb starts from: base, vocabulary and prefix.

use crate::args::types::BaseDtype;
use crate::config::base::{AdapterConfig, BaseConfig, Quantization};
use anyhow::{Context, bail};
use glm_data::Tokenizer;
use glm_model::adapter::{PrefixEncoder, PrefixFile};
use glm_model::{DenseType, GlmConfig, LoadOptions, Network, Scheme};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::Path;

/// Vocabulary in the folder of a base.
const TOKENIZER: &str = "tokenizer.model";

/// A base with its vocabulary, and the prefix of a checkpoint.
#[derive(Debug)]
pub struct Loaded {
    /// The base, frozen.
    pub network: Network,
    /// Its vocabulary.
    pub tokenizer: Tokenizer,
    /// The trained prefix; `None` when no checkpoint was named.
    pub prefix: Option<PrefixEncoder>,
}

/// Loads a base, its vocabulary and, when `adapter` names a checkpoint, the prefix. What is small is read and compared
/// first, so that nothing large is loaded in vain. A bar on standard error shows the bytes when that is a terminal.
///
/// # Errors
/// Names the file, what was expected, what was found and what to do.
pub fn load(base: &BaseConfig, adapter: Option<&AdapterConfig>) -> anyhow::Result<Loaded> {
    let config = GlmConfig::read(&base.path)?;
    let tokenizer = tokenizer(&base.path, &config)?;
    let prefix = match adapter {
        Some(AdapterConfig { checkpoint: Some(checkpoint), pre_seq_len, prefix_projection }) => {
            let file = PrefixFile::open(checkpoint).context("--ptuning_checkpoint")?;
            Some(file.load(&config, *pre_seq_len, *prefix_projection)?)
        }
        _ => None,
    };
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("loading {bar:28.cyan/blue} {bytes}/{total_bytes}, ETA {eta}") {
        bar.set_style(style.progress_chars("━╸─"));
    }
    let options = LoadOptions { scheme: scheme(base), trainable: false };
    let network = Network::load(&base.path, options, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    Ok(Loaded { network, tokenizer, prefix })
}

/// The form of the frozen weights that was asked for.
pub fn scheme(base: &BaseConfig) -> Scheme {
    match base.quantization {
        Some(Quantization::Int8) => Scheme::Int8,
        Some(Quantization::Int4) => Scheme::Int4,
        Some(Quantization::Int4Grouped { group }) => Scheme::Int4Group { group },
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

fn tokenizer(folder: &Path, config: &GlmConfig) -> anyhow::Result<Tokenizer> {
    let file = folder.join(TOKENIZER);
    if !file.is_file() {
        bail!(
            "{}: there is no {TOKENIZER}; copy it there from the model as Hugging Face publishes it",
            folder.display()
        );
    }
    let tokenizer = Tokenizer::from_file(&file, config.variant)?;
    let (ids, rows) = (tokenizer.vocab_size(), config.vocab_size);
    if ids > rows {
        bail!(
            "{} has {ids} tokens, special ones included, but the model only {rows} (padded_vocab_size in {}): they do not \
             belong together",
            file.display(),
            folder.join("config.json").display()
        );
    }
    Ok(tokenizer)
}
