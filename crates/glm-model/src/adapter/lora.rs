//! LoRA (Hu et al. 2021): `y = W x + b + scale · B A x` at chosen linear layers, with a frozen `W`.

use super::site::Site;
use crate::config::GlmConfig;
use crate::glm::{BlockDeltas, Delta};
use crate::ops::{Dropout, RowStream};
use crate::{ModelError, Result, ops};
use candle_core::{Tensor, Var};
use glm_data::Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What peft puts in front of the name of every module.
pub(super) const PEFT_PREFIX: &str = "base_model.model.";

/// How `A` begins; `B` always begins as 0, so that a fresh adapter changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoraInit {
    /// Uniform in ±1/√in (He et al. 2015 with a = √5), peft's default.
    #[default]
    Kaiming,
    /// Normal with standard deviation 1/rank.
    Gaussian,
}

/// What a LoRA adapter is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    /// Rank `r` of the additions.
    pub rank: usize,
    /// The additions are multiplied by `alpha / rank`.
    pub alpha: f64,
    /// Dropout on the input of the additions, in training only.
    pub dropout: f32,
    /// Multiply by `alpha / √rank` instead (Kalajdzievski 2023).
    pub use_rslora: bool,
    /// How `A` begins.
    pub init: LoraInit,
    /// Linear layers that get an addition.
    pub targets: BTreeSet<Site>,
    /// Blocks whose layers get one, counted from 0; `None`: all.
    pub layers: Option<BTreeSet<usize>>,
}

impl Default for LoraConfig {
    /// What `train_lora.py` of ChatGLM-Tuning sets.
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 32.0,
            dropout: 0.05,
            use_rslora: false,
            init: LoraInit::Kaiming,
            targets: BTreeSet::from([Site::QueryKeyValue]),
            layers: None,
        }
    }
}

impl LoraConfig {
    /// Factor on the additions.
    pub fn scale(&self) -> f64 {
        let rank = self.rank.max(1) as f64;
        self.alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }

    /// Refuses settings that have no meaning for `base`.
    ///
    /// # Errors
    /// Names the flag, what was expected and what was found.
    pub fn check(&self, base: &GlmConfig) -> Result<()> {
        let refuse = |reason: String| Err(ModelError::Setting(reason));
        let widest = base.hidden_size.min(base.ffn_hidden_size);
        if self.rank == 0 || self.rank > widest {
            let why = "a larger rank would hold more values than the weights themselves";
            return refuse(format!("--lora_rank: expected 1 to {widest} for this base ({why}), found {}", self.rank));
        }
        if !self.alpha.is_finite() || self.alpha <= 0.0 {
            return refuse(format!("--lora_alpha: expected a number above 0, found {}", self.alpha));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return refuse(format!("--lora_dropout: expected 0 or more and less than 1, found {}", self.dropout));
        }
        if self.targets.is_empty() {
            return refuse("--lora_target: no linear layer is named".into());
        }
        let outside = self.layers.iter().flatten().find(|layer| **layer >= base.num_layers);
        if let Some(layer) = outside {
            return refuse(format!("LoRA layer {layer}: this base has the layers 0 to {}", base.num_layers - 1));
        }
        match &self.layers {
            Some(layers) if layers.is_empty() => refuse("LoRA layers: no layer is named".into()),
            _ => Ok(()),
        }
    }

    /// Blocks and layers that get an addition, in the order of the network.
    pub fn places(&self, base: &GlmConfig) -> Vec<(usize, Site)> {
        let chosen = |layer: &usize| self.layers.as_ref().is_none_or(|layers| layers.contains(layer));
        let layers = (0..base.num_layers).filter(chosen);
        layers.flat_map(|layer| self.targets.iter().map(move |site| (layer, *site))).collect()
    }
}

/// Names and shapes of `A [r, in]` and `B [out, r]` at one place, as peft's files have them.
pub fn tensors(base: &GlmConfig, layer: usize, site: Site, rank: usize) -> [(String, [usize; 2]); 2] {
    let module = site.module(base, layer);
    let [out, inner] = site.shape(base);
    let name = |part: &str| format!("{PEFT_PREFIX}{module}.lora_{part}.weight");
    [(name("A"), [rank, inner]), (name("B"), [out, rank])]
}

/// The trained tensors, in f32.
#[derive(Debug, Clone)]
pub struct LoraAdapter {
    config: LoraConfig,
    /// `A` and `B` alternately, one pair for each of `places`.
    parameters: Vec<(String, Var)>,
    places: Vec<(usize, Site)>,
    layers: usize,
}

impl LoraAdapter {
    /// A fresh adapter.
    ///
    /// # Errors
    /// When the settings do not fit the base, or memory runs out.
    pub fn new(config: LoraConfig, base: &GlmConfig, rng: &mut Rng) -> Result<Self> {
        config.check(base)?;
        let (init, rank) = (config.init, config.rank as f32);
        let places = config.places(base);
        Self::from_values(config, base, places, |name, [rows, columns]| {
            let count = rows * columns;
            match init {
                _ if name.ends_with("lora_B.weight") => vec![0.0; count],
                LoraInit::Gaussian => (0..count).map(|_| rng.normal() / rank).collect(),
                LoraInit::Kaiming => {
                    let bound = 1.0 / (columns as f32).sqrt();
                    (0..count).map(|_| (2.0 * rng.next_f32() - 1.0) * bound).collect()
                }
            }
        })
    }

    /// An adapter at `places` from values: `values(name, shape)` gives each tensor.
    ///
    /// # Errors
    /// When a tensor has the wrong number of values.
    pub fn from_values(
        config: LoraConfig,
        base: &GlmConfig,
        places: Vec<(usize, Site)>,
        mut values: impl FnMut(&str, [usize; 2]) -> Vec<f32>,
    ) -> Result<Self> {
        let mut parameters = Vec::with_capacity(2 * places.len());
        for (layer, site) in &places {
            for (name, shape) in tensors(base, *layer, *site, config.rank) {
                let values = ops::tensor(values(&name, shape), (shape[0], shape[1]))?;
                parameters.push((name, Var::from_tensor(&values)?));
            }
        }
        Ok(Self { config, parameters, places, layers: base.num_layers })
    }

    /// The settings.
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }

    /// The trained tensors by the names that they have in peft's files.
    pub fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    /// Blocks and layers that have an addition, in the order of the network.
    pub fn places(&self) -> &[(usize, Site)] {
        &self.places
    }

    /// Blocks of the base.
    pub fn num_layers(&self) -> usize {
        self.layers
    }

    fn pair(&self, index: usize) -> [&Tensor; 2] {
        [0, 1].map(|part| self.parameters[2 * index + part].1.as_tensor())
    }

    /// What the adapter adds, one entry a block, off the tape.
    pub fn deltas(&self) -> Vec<BlockDeltas> {
        self.additions(|index| self.pair(index).map(Tensor::detach), |_| None)
    }

    /// What it adds in training, on the tape. `rows` are the sources of dropout of all rows; behind the attention of the
    /// last block only those at positions `read` are computed.
    pub fn training_deltas(&self, rows: &Arc<[RowStream]>, read: &[u32]) -> Vec<BlockDeltas> {
        let rate = self.config.dropout;
        let of_read: Arc<[RowStream]> = read.iter().map(|position| rows[*position as usize]).collect();
        let mask = |index: usize| {
            let (layer, site) = self.places[index];
            let all = site == Site::QueryKeyValue || layer + 1 < self.layers;
            Dropout { rate, place: index as u64, rows: Arc::clone(if all { rows } else { &of_read }) }
        };
        self.additions(|index| self.pair(index).map(Tensor::clone), |index| (rate > 0.0).then(|| mask(index)))
    }

    fn additions(
        &self,
        pair: impl Fn(usize) -> [Tensor; 2],
        dropout: impl Fn(usize) -> Option<Dropout>,
    ) -> Vec<BlockDeltas> {
        let mut blocks: Vec<BlockDeltas> = (0..self.layers).map(|_| BlockDeltas::default()).collect();
        for (index, (layer, site)) in self.places.iter().enumerate() {
            let [a, b] = pair(index);
            let delta = Delta { a, b, scale: self.config.scale(), rows: None, dropout: dropout(index) };
            blocks[*layer][site.index()].push(delta);
        }
        blocks
    }

    /// What merging adds to a weight: `scale · B A`, `[out, in]` in f32; `None` where the adapter adds nothing.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn weight_delta(&self, layer: usize, site: Site) -> Result<Option<Tensor>> {
        let Some(index) = self.places.iter().position(|place| *place == (layer, site)) else { return Ok(None) };
        let [a, b] = self.pair(index).map(Tensor::detach);
        Ok(Some((b.matmul(&a)? * self.config.scale())?))
    }
}
