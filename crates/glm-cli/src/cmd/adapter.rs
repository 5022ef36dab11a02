//! What trains or is used, on its way between settings, files, training and generation.

use crate::args::usage::{UsageError, of_setting, refuse};
use crate::config::adapter::AdapterConfig;
use crate::config::origin::Origin;
use anyhow::{Context, bail};
use glm_data::Rng;
use glm_model::adapter::{
    self, AdapterFile, AdapterSlots, LoraAdapter, LoraConfig, PrefixConfig, PrefixEncoder, Site, parse_targets,
};
use glm_model::{DenseType, GlmConfig, Network, Trains};
use glm_train::{Adapter, memory};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// An adapter from files.
#[derive(Debug)]
pub struct Opened {
    /// The adapter.
    pub adapter: Adapter,
    /// What the files say of how it was trained.
    pub trained_on: BTreeMap<String, String>,
}

/// Opens the files that the settings name, and compares them with the settings and with the base.
///
/// # Errors
/// Names the files, what they hold, and what was expected.
pub fn open(settings: Option<&AdapterConfig>, base: &GlmConfig) -> anyhow::Result<Option<Opened>> {
    let Some(settings) = settings else { return Ok(None) };
    let Some(origin) = settings.origin() else {
        // What does not fit the base is said before the base is loaded.
        lora_config(settings, base)?;
        return Ok(None);
    };
    open_files(settings, origin.path(), base).with_context(|| origin.place().to_owned()).map(Some)
}

fn open_files(settings: &AdapterConfig, files: &Path, base: &GlmConfig) -> anyhow::Result<Opened> {
    let file = adapter::open(files).map_err(of_setting)?;
    let trained_on = file.metadata()?;
    let other = |flag: &str| {
        let (files, kind) = (files.display(), file.kind());
        UsageError(format!("{files}: it holds {kind}: give it as --{flag}, without flags of the other method"))
    };
    let adapter = match (settings, &file) {
        (AdapterConfig::Ptuning { pre_seq_len, prefix_projection, dropout, .. }, AdapterFile::Prefix(file)) => {
            Adapter::Prefix {
                encoder: file.load(base, *pre_seq_len, *prefix_projection).map_err(of_setting)?,
                dropout: *dropout,
            }
        }
        (AdapterConfig::FromFile { prefix_dropout, .. }, AdapterFile::Prefix(file)) => {
            Adapter::Prefix { encoder: file.load(base, None, None).map_err(of_setting)?, dropout: *prefix_dropout }
        }
        (AdapterConfig::Lora { .. }, AdapterFile::Lora(file)) => {
            Adapter::Lora(agreeing(settings, file.load(base).map_err(of_setting)?, files, base)?)
        }
        (AdapterConfig::FromFile { .. }, AdapterFile::Lora(file)) => {
            Adapter::Lora(file.load(base).map_err(of_setting)?)
        }
        (_, AdapterFile::Prefix(_)) => return Err(other("ptuning_checkpoint").into()),
        (_, AdapterFile::Lora(_)) => return Err(other("lora_checkpoint").into()),
    };
    Ok(Opened { adapter, trained_on })
}

/// Refuses flags that contradict a LoRA file; dropout alone may be chosen anew.
fn agreeing(
    settings: &AdapterConfig,
    lora: LoraAdapter,
    files: &Path,
    base: &GlmConfig,
) -> anyhow::Result<LoraAdapter> {
    let AdapterConfig::Lora { rank, alpha, dropout, target, use_rslora, .. } = settings else { return Ok(lora) };
    let held = lora.config();
    let names = |sites: &BTreeSet<Site>| sites.iter().map(|site| site.name()).collect::<Vec<_>>().join(",");
    let targets = target.as_deref().map(|text| parse_targets(text, base)).transpose().map_err(of_setting)?;
    for (flag, asked, found) in [
        ("lora_rank", rank.map(|n| n.to_string()), held.rank.to_string()),
        ("lora_alpha", alpha.map(|n| n.to_string()), held.alpha.to_string()),
        ("lora_target", targets.as_ref().map(names), names(&held.targets)),
        ("use_rslora", use_rslora.map(|on| on.to_string()), held.use_rslora.to_string()),
    ] {
        if let Some(asked) = asked.filter(|asked| *asked != found) {
            let files = files.display();
            return Err(UsageError(format!(
                "{files} has {flag} {found}; you passed --{flag} {asked}. Leave the flag out: it is read from the file"
            ))
            .into());
        }
    }
    let config = LoraConfig { dropout: dropout.unwrap_or(held.dropout), ..held.clone() };
    let mut values = values(&Adapter::Lora(lora.clone()))?.into_iter();
    Ok(LoraAdapter::from_values(config, base, lora.places().to_vec(), |_, _| values.next().unwrap_or_default())?)
}

/// A fresh adapter. `rows` of a batch are trained at a time.
///
/// # Errors
/// When the settings do not fit the base, or what they ask for does not fit into memory.
pub fn fresh(settings: &AdapterConfig, network: &Network, seed: u64, rows: usize) -> anyhow::Result<Adapter> {
    let base = network.config();
    check_size(settings, base, rows)?;
    match settings {
        AdapterConfig::Ptuning { pre_seq_len: Some(length), prefix_projection, dropout, .. } => {
            let sizes = PrefixConfig::new(base, *length, prefix_projection.unwrap_or(false));
            let encoder = PrefixEncoder::new(sizes, &mut Rng::with_stream(seed, 0))?;
            Ok(Adapter::Prefix { encoder, dropout: *dropout })
        }
        AdapterConfig::Ptuning { .. } => bail!("--pre_seq_len is missing"),
        AdapterConfig::Lora { .. } => {
            Ok(Adapter::Lora(LoraAdapter::new(lora_config(settings, base)?, base, &mut Rng::with_stream(seed, 0))?))
        }
        AdapterConfig::Full | AdapterConfig::Freeze { .. } => Ok(Adapter::Full),
        AdapterConfig::FromFile { .. } => bail!("--init_from is missing"),
    }
}

/// What a fresh LoRA is made of.
fn lora_config(settings: &AdapterConfig, base: &GlmConfig) -> anyhow::Result<LoraConfig> {
    let usual = LoraConfig::default();
    let AdapterConfig::Lora { rank, alpha, dropout, target, use_rslora, .. } = settings else { return Ok(usual) };
    let config = LoraConfig {
        rank: rank.unwrap_or(usual.rank),
        alpha: alpha.unwrap_or(usual.alpha),
        dropout: dropout.unwrap_or(usual.dropout),
        use_rslora: use_rslora.unwrap_or(usual.use_rslora),
        targets: target.as_deref().map_or(Ok(usual.targets), |names| parse_targets(names, base)).map_err(of_setting)?,
        ..LoraConfig::default()
    };
    config.check(base).map_err(of_setting)?;
    Ok(config)
}

/// Refuses a fresh prefix that cannot be trained in the memory there is, instead of being ended by the system. `rows` of a
/// batch are trained at a time.
///
/// # Errors
/// Names the length, what it needs and what is free.
pub fn check_size(settings: &AdapterConfig, base: &GlmConfig, rows: usize) -> Result<(), UsageError> {
    let AdapterConfig::Ptuning { init_from: None, pre_seq_len: Some(length), prefix_projection, .. } = settings else {
        return Ok(());
    };
    let sizes = PrefixConfig::new(base, *length, prefix_projection.unwrap_or(false));
    let Some(available) = memory::available() else { return Ok(()) };
    // Values, gradients, two moments and a copy while updating; and per row of the batch its own rows and their gradient.
    let values: u128 =
        sizes.tensors().iter().map(|(_, shape)| shape.iter().map(|n| *n as u128).product::<u128>()).sum();
    let needed = 4 * (5 * values + 3 * rows as u128 * sizes.pre_seq_len as u128 * sizes.width() as u128);
    if needed > u128::from(available) {
        refuse!(
            "--pre_seq_len {}: training that prefix needs about {:.1} GB, {:.1} GB are free; 128 is usual",
            sizes.pre_seq_len,
            needed as f64 / 1e9,
            available as f64 / 1e9
        );
    }
    Ok(())
}

/// One line about what trains or is used.
pub fn describe(adapter: &Adapter, network: &Network, origin: &str) -> String {
    match adapter {
        Adapter::Prefix { encoder, .. } => {
            let sizes = encoder.config();
            let projection = if sizes.prefix_projection { " with projection" } else { "" };
            format!("prefix: {} × {} layers{projection}, {origin}", sizes.pre_seq_len, sizes.num_layers)
        }
        Adapter::Lora(lora) => {
            let config = lora.config();
            let targets: Vec<&str> = config.targets.iter().map(|site| site.name()).collect();
            let layers = config.layers.as_ref().map_or(lora.num_layers(), BTreeSet::len);
            format!(
                "lora: rank {}, alpha {} on {} × {layers} layers, {origin}, {} trainable",
                config.rank,
                config.alpha,
                targets.join(", "),
                adapter.parameter_count(network)
            )
        }
        Adapter::Full => {
            let form = match network.trained_type() {
                DenseType::Bf16 => "bf16 with masters in f32",
                _ => "f32",
            };
            let which = match network.trains() {
                Trains::LastBlocks(count) => format!("weights of the last {count} layers"),
                _ => "all weights".into(),
            };
            format!("{which}: {} tensors in {form}, from the base", network.parameters().len())
        }
    }
}

/// Puts an adapter into a slot for generation; `None`: the base itself has been trained.
///
/// # Errors
/// When memory runs out.
pub fn add(slots: &AdapterSlots, adapter: Option<&Adapter>) -> anyhow::Result<Option<usize>> {
    Ok(match adapter {
        Some(Adapter::Prefix { encoder, .. }) => Some(slots.add(encoder)?),
        Some(Adapter::Lora(lora)) => Some(slots.add_lora(lora)),
        Some(Adapter::Full) | None => None,
    })
}

/// A copy with tensors of its own.
///
/// # Errors
/// When memory runs out.
pub fn copy(adapter: &Adapter, base: &GlmConfig) -> anyhow::Result<Adapter> {
    let mut values = values(adapter)?.into_iter();
    let mut next = || values.next().unwrap_or_default();
    Ok(match adapter {
        Adapter::Prefix { encoder, dropout } => {
            let encoder = PrefixEncoder::from_values(*encoder.config(), |_, _| next())?;
            Adapter::Prefix { encoder, dropout: *dropout }
        }
        Adapter::Lora(lora) => {
            let (config, places) = (lora.config().clone(), lora.places().to_vec());
            Adapter::Lora(LoraAdapter::from_values(config, base, places, |_, _| next())?)
        }
        Adapter::Full => Adapter::Full,
    })
}

/// The values of an adapter's tensors; none for a base that trains, which is compared with its files.
///
/// # Errors
/// When memory runs out.
pub fn values(adapter: &Adapter) -> anyhow::Result<Vec<Vec<f32>>> {
    let parameters = match adapter {
        Adapter::Prefix { encoder, .. } => encoder.parameters(),
        Adapter::Lora(lora) => lora.parameters(),
        Adapter::Full => &[],
    };
    parameters.iter().map(|(_, var)| Ok(var.as_tensor().flatten_all()?.to_vec1::<f32>()?)).collect()
}

/// An adapter from files, without settings to compare it with.
///
/// # Errors
/// Names the files and what is wrong with them.
pub fn reopen(files: &Path, base: &GlmConfig) -> anyhow::Result<Adapter> {
    let any = AdapterConfig::FromFile { init_from: Origin::new(files, "--init_from"), prefix_dropout: 0.0 };
    Ok(open_files(&any, files, base)?.adapter)
}
