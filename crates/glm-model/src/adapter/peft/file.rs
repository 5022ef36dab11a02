//! LoRA tensors as peft names them, and what they say of the base that they were trained on.

use super::config::LoraSettings;
use super::merged::{Matrix, spread};
use super::{CONFIG_FILE, PeftConfig, PeftType};
use crate::adapter::cause;
use crate::adapter::locate::{Located, locate};
use crate::adapter::lora::{LoraAdapter, LoraConfig};
use crate::adapter::site::Site;
use crate::config::GlmConfig;
use crate::weights::{TensorBytes, safetensors_metadata};
use crate::{ModelError, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Key of our own settings in the header of a safetensors file.
pub(super) const METADATA_KEY: &str = "glmtune_lora";

/// `A` and `B` of one module.
#[derive(Debug, Clone, Default)]
struct Pair {
    halves: [Option<Matrix>; 2],
}

/// The tensors of a LoRA adapter as they lie on disk.
#[derive(Debug, Clone)]
pub struct LoraFile {
    path: PathBuf,
    file: PathBuf,
    config: LoraConfig,
    base: Option<String>,
    /// By block and module within it.
    modules: BTreeMap<(usize, String), [Matrix; 2]>,
}

impl LoraFile {
    /// Opens an adapter folder, or the weight file in it.
    ///
    /// # Errors
    /// Names the file, and the tensor or setting that is missing, damaged or not supported.
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_located(locate(path)?)
    }

    pub(in crate::adapter) fn from_located(located: Located) -> Result<Self> {
        let wrong = |reason: String| ModelError::file(&located.path, reason);
        let settings = match PeftConfig::read(&located.folder)? {
            Some(config) if config.kind()? == PeftType::Lora => config.lora()?,
            Some(_) => {
                return Err(wrong(format!("its tensors are LoRA's, but {CONFIG_FILE} beside them says PREFIX_TUNING")));
            }
            None => own_settings(&located)?,
        };
        let pairs = pairs(&located)?;
        let mut modules = BTreeMap::new();
        for ((layer, part), pair) in pairs {
            let [Some(a), Some(b)] = pair.halves else {
                let half = if pair.halves[0].is_none() { "lora_A" } else { "lora_B" };
                return Err(wrong(format!(
                    "{half} of {part} in block {layer} is missing; copy or download the file again"
                )));
            };
            let pair = fitted(a, b, &settings).map_err(|reason| wrong(format!("{part} in block {layer}: {reason}")))?;
            modules.insert((layer, part), pair);
        }
        let config = stored_config(&settings);
        Ok(Self { path: located.path, file: located.file, config, base: settings.base, modules })
    }

    /// Rank of the additions.
    pub fn rank(&self) -> usize {
        self.config.rank
    }

    /// Factor on the additions.
    pub fn scale(&self) -> f64 {
        self.config.scale()
    }

    /// Name of the base that it was trained on, as the file has it.
    pub fn base_name(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// Blocks and modules with an addition, and the shapes of `A` and `B`.
    pub fn modules(&self) -> impl Iterator<Item = (usize, &str, [[usize; 2]; 2])> {
        let shape = |matrix: &Matrix| [matrix.rows, matrix.columns];
        self.modules.iter().map(move |((layer, part), [a, b])| (*layer, part.as_str(), [shape(a), shape(b)]))
    }

    /// Free texts in the header of a safetensors file; empty for torch files.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn metadata(&self) -> Result<BTreeMap<String, String>> {
        if self.file.extension().is_some_and(|e| e == "safetensors") {
            return safetensors_metadata(&self.file);
        }
        Ok(BTreeMap::new())
    }

    /// Builds the adapter for `base`.
    ///
    /// # Errors
    /// Both shapes and the likely cause when it was trained on another one.
    pub fn load(&self, base: &GlmConfig) -> Result<LoraAdapter> {
        let wrong = |reason: String| {
            Err(ModelError::misplaced(&self.path, format!("the LoRA adapter does not fit this base: {reason}")))
        };
        let mut found = BTreeMap::new();
        for ((layer, part), pair) in &self.modules {
            let Some(site) = Site::ALL.into_iter().find(|site| site.part(base) == part) else {
                let known = Site::ALL.map(|site| site.part(base)).join(", ");
                let cause = cause::of_module(part, base);
                return wrong(format!("it adds to {part} in block {layer}, and this base has {known}; {cause}"));
            };
            let [out, inner] = site.shape(base);
            let expected = [[self.config.rank, inner], [out, self.config.rank]];
            for (half, matrix, expected) in [("lora_A", &pair[0], expected[0]), ("lora_B", &pair[1], expected[1])] {
                let shape = [matrix.rows, matrix.columns];
                if shape != expected {
                    let width = if half == "lora_A" { matrix.columns } else { matrix.rows };
                    let cause = cause::of_width(width, base);
                    return wrong(format!(
                        "{half} of {part} in block {layer} is {shape:?}, expected {expected:?}; {cause}"
                    ));
                }
            }
            if *layer >= base.num_layers {
                let count = base.num_layers;
                return wrong(format!("it adds to block {layer}, and this base has {count}, counted from 0"));
            }
            found.insert((*layer, site), pair);
        }
        let mut config = self.config.clone();
        config.targets = found.keys().map(|(_, site)| *site).collect();
        let layers: BTreeSet<usize> = found.keys().map(|(layer, _)| *layer).collect();
        config.layers = (layers.len() < base.num_layers).then_some(layers);
        let places = found.keys().copied().collect();
        let mut values = found.values().flat_map(|pair| pair.iter());
        LoraAdapter::from_values(config, base, places, |_, _| {
            values.next().map(|matrix| matrix.values.clone()).unwrap_or_default()
        })
    }
}

fn stored_config(settings: &LoraSettings) -> LoraConfig {
    let parts = settings.enable_lora.as_ref().map_or(1, |enable| enable.iter().filter(|on| **on).count());
    LoraConfig {
        // The parts of an old fused layer become one addition of their ranks together, with the same factor.
        rank: settings.rank * parts,
        alpha: settings.alpha * if settings.use_rslora { (parts as f64).sqrt() } else { parts as f64 },
        dropout: settings.dropout,
        use_rslora: settings.use_rslora,
        init: settings.init,
        targets: BTreeSet::new(),
        layers: None,
    }
}

/// `A` and `B` in today's form, or a sentence.
fn fitted(a: Matrix, b: Matrix, settings: &LoraSettings) -> Result<[Matrix; 2], String> {
    let rank = settings.rank;
    let (b, whole) = match &settings.enable_lora {
        None => (b, rank),
        Some(enable) => {
            let shape = [b.rows, b.columns];
            let spread = spread(&b, rank, enable).ok_or_else(|| {
                format!("enable_lora {enable:?} and r {rank} do not belong to a lora_B of {shape:?}; this old form is refused")
            })?;
            let columns = spread.columns;
            (spread, columns)
        }
    };
    if a.rows != whole || b.columns != whole {
        return Err(format!(
            "{CONFIG_FILE} says r {rank}, but lora_A is {:?} and lora_B is {:?}; they do not belong together",
            [a.rows, a.columns],
            [b.rows, b.columns]
        ));
    }
    Ok([a, b])
}

/// The settings in the header of our own safetensors files, for one that lies alone.
fn own_settings(located: &Located) -> Result<LoraSettings> {
    let mut found = None;
    if located.file.extension().is_some_and(|e| e == "safetensors") {
        found = safetensors_metadata(&located.file)?.remove(METADATA_KEY);
    }
    let Some(text) = found else {
        let reason = format!(
            "it holds LoRA tensors, but {CONFIG_FILE} is not beside them, and without it their factor is not known; copy it too"
        );
        return Err(ModelError::file(&located.path, reason));
    };
    let config: LoraConfig = serde_json::from_str(&text)
        .map_err(|e| ModelError::file(&located.path, format!("{METADATA_KEY} in its header is damaged: {e}")))?;
    if config.rank == 0 || !config.alpha.is_finite() || !(0.0..1.0).contains(&config.dropout) {
        let reason = format!(
            "{METADATA_KEY} in its header has the rank {}, alpha {} and dropout {}",
            config.rank, config.alpha, config.dropout
        );
        return Err(ModelError::file(&located.path, reason));
    }
    Ok(LoraSettings {
        rank: config.rank,
        alpha: config.alpha,
        dropout: config.dropout,
        use_rslora: config.use_rslora,
        init: config.init,
        enable_lora: None,
        base: None,
    })
}

/// Every LoRA tensor of a file by its place.
fn pairs(located: &Located) -> Result<BTreeMap<(usize, String), Pair>> {
    let wrong = |reason: String| ModelError::file(&located.path, reason);
    // A trainer that knew nothing of adapters saved the whole model with the additions inside.
    let whole = located.weights.names().any(|name| name.ends_with("word_embeddings.weight"));
    let mut pairs: BTreeMap<(usize, String), Pair> = BTreeMap::new();
    for name in located.weights.names() {
        let place = match place(name) {
            Ok(Some(place)) => place,
            Ok(None) if whole => continue,
            Ok(None) => return Err(wrong(format!("tensor {name} is no part of a LoRA adapter, and is not supported"))),
            Err(reason) => return Err(wrong(format!("tensor {name}: {reason}"))),
        };
        let tensor = located.weights.get(name).ok_or_else(|| wrong(format!("tensor {name} is missing")))?;
        let matrix = matrix(&tensor).map_err(|reason| wrong(format!("tensor {name} {reason}")))?;
        let pair = pairs.entry((place.layer, place.part)).or_default();
        if pair.halves[place.half].replace(matrix).is_some() {
            return Err(wrong(format!("tensor {name}: another one has the same place; the file holds two adapters")));
        }
    }
    Ok(pairs)
}

struct Place {
    layer: usize,
    part: String,
    half: usize,
}

/// Reads `….layers.{i}.{part}.lora_A[.adapter].weight`; `None` when it is no tensor of LoRA.
fn place(name: &str) -> Result<Option<Place>, String> {
    if name.contains("modules_to_save") {
        return Err("modules_to_save are not supported (whole modules were trained beside the additions)".into());
    }
    let words: Vec<&str> = name.split('.').collect();
    let Some(at) = words.iter().position(|word| word.starts_with("lora_")) else { return Ok(None) };
    let half = match words[at] {
        "lora_A" => 0,
        "lora_B" => 1,
        "lora_magnitude_vector" => return Err("it belongs to DoRA, which is not supported".into()),
        "lora_E" => return Err("it belongs to AdaLoRA, which is not supported".into()),
        other => return Err(format!("{other} is not supported, only lora_A and lora_B are")),
    };
    if !matches!(words[at + 1..], ["weight"] | [_, "weight"]) {
        return Err("expected a name that ends with .weight".into());
    }
    let layers = words[..at].iter().rposition(|word| *word == "layers");
    let layer = layers.and_then(|layers| words.get(layers + 1)?.parse::<usize>().ok().map(|layer| (layers, layer)));
    match layer {
        Some((layers, layer)) if layers + 2 < at => {
            Ok(Some(Place { layer, part: words[layers + 2..at].join("."), half }))
        }
        _ => Err("it is outside the blocks (layers.0, layers.1, …), where no additions are supported".into()),
    }
}

/// A matrix, or the convolution with a window of 1 that the oldest files keep `B` in.
fn matrix(tensor: &TensorBytes<'_>) -> Result<Matrix, String> {
    let (rows, columns) = match tensor.shape[..] {
        [rows, columns] | [rows, columns, 1] => (rows, columns),
        _ => return Err(format!("is {:?}, expected a matrix", tensor.shape)),
    };
    let values = tensor.all_f32().ok_or_else(|| format!("holds {}, expected floats", tensor.dtype))?;
    if let Some(at) = values.iter().position(|v| !v.is_finite()) {
        return Err(format!("holds {} at element {at}: its training diverged, so it cannot be used", values[at]));
    }
    Ok(Matrix { rows, columns, values })
}
