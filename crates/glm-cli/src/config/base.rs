//! The base model, and how it is held.

use std::path::PathBuf;

use glm_model::Compute;
use serde::{Deserialize, Serialize};

use crate::args::keys::KeySet;
use crate::args::model::{BaseArgs, ModelArgs};
use crate::args::sources::Given;
use crate::args::types::{BaseDtype, Bits, ComputeIn, Group};
use crate::args::usage::{Remark, UsageError, refuse};
use crate::config::quantized_cache::QuantizedCache;
use crate::hub::{HubConfig, check_revision};

/// How the four linear layers of every block are quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "scheme", deny_unknown_fields)]
pub enum Quantization {
    /// Official INT8: one scale a row.
    Int8,
    /// Official INT4: one scale a row.
    Int4,
    /// INT4 with one scale for every `group` columns.
    Int4Grouped {
        /// 32 or 64.
        group: usize,
    },
}

impl Quantization {
    /// Bits of an official scheme.
    pub fn official_bits(self) -> Option<u8> {
        match self {
            Self::Int8 => Some(8),
            Self::Int4 => Some(4),
            Self::Int4Grouped { .. } => None,
        }
    }
}

/// Which base to load, and how to hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseConfig {
    /// Folder of the base, or its name on the hub.
    pub path: PathBuf,
    /// Where a name on the hub comes from.
    #[serde(default)]
    pub hub: HubConfig,
    /// Number format of a base that is not quantized.
    pub dtype: BaseDtype,
    /// Quantization asked for; `None`: as the folder has it.
    pub quantization: Option<Quantization>,
    /// Quantization of the output layer; `None`: floats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_layer: Option<Quantization>,
    /// Numbers in which products with frozen weights are made.
    #[serde(default)]
    pub compute: ComputeConfig,
    /// Where the quantized form is kept.
    #[serde(default)]
    pub quantized_cache: QuantizedCache,
}

/// Numbers that the processor has instructions for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComputeConfig {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16.
    Bf16,
    /// 8-bit integers.
    Int8,
}

impl From<ComputeConfig> for Compute {
    fn from(config: ComputeConfig) -> Self {
        match config {
            ComputeConfig::F32 => Self::F32,
            ComputeConfig::Bf16 => Self::Bf16,
            ComputeConfig::Int8 => Self::Int8,
        }
    }
}

impl ComputeConfig {
    /// Name as `--compute` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }

    fn new<K: KeySet>(given: &Given<K>, asked: ComputeIn) -> Result<Self, UsageError> {
        match asked {
            ComputeIn::F32 => Ok(Self::F32),
            ComputeIn::Int8 if Compute::Int8.available() => Ok(Self::Int8),
            ComputeIn::Int8 => refuse!(
                "{}: it needs AVX512_VNNI and AVX512_VBMI, which this processor lacks or GLM_ISA forbids; leave the flag out for \
                 the fastest that there is",
                given.place("compute")
            ),
            _ if Compute::Bf16.available() => Ok(Self::Bf16),
            ComputeIn::Auto => Ok(Self::F32),
            ComputeIn::Bf16 => refuse!(
                "{}: it needs AVX512_BF16 and AVX512_VBMI, which this processor lacks or GLM_ISA forbids; leave the flag out for f32",
                given.place("compute")
            ),
        }
    }
}

impl BaseConfig {
    /// Takes the base's part of the keys.
    ///
    /// # Errors
    /// When no base is named, or the quantization keys contradict each other.
    pub fn new<K: KeySet>(given: &Given<K>, model: &ModelArgs, base: &BaseArgs) -> Result<Self, UsageError> {
        let Some(path) = model.model_name_or_path.clone() else {
            refuse!("--model_name_or_path is missing: give the folder of the base model, or its name on the hub");
        };
        if let Err(expected) = check_revision(&model.model_revision) {
            refuse!("{}: {expected}", given.place("model_revision"));
        }
        let hub = HubConfig {
            cache_dir: model.cache_dir.clone(),
            revision: model.model_revision.clone(),
            use_auth_token: model.use_auth_token,
            offline: base.offline,
        };
        let of_bits = |bits| match (bits, base.quantization_group) {
            (Bits::Eight, _) => Quantization::Int8,
            (Bits::Four, None) => Quantization::Int4,
            (Bits::Four, Some(group)) => Quantization::Int4Grouped { group: if group == Group::G32 { 32 } else { 64 } },
        };
        let bits = [model.quantization_bit, base.output_layer_bit];
        if base.quantization_group.is_some() && !bits.contains(&Some(Bits::Four)) {
            refuse!(
                "{} needs --quantization_bit 4 or --output_layer_bit 4: only INT4 has groups",
                given.place("quantization_group")
            )
        }
        let [quantization, output_layer] = bits.map(|bits| bits.map(of_bits));
        let compute = ComputeConfig::new(given, base.compute)?;
        let quantized_cache = base.quantized_cache.clone();
        Ok(Self { path, hub, dtype: base.base_dtype, quantization, output_layer, compute, quantized_cache })
    }

    /// Remarks on keys that the others leave without effect.
    pub fn remark<K: KeySet>(&self, given: &Given<K>, remarks: &mut Vec<Remark>) {
        let quantizing = ["quantization_bit", "int8", "load_in_8bit"].into_iter().find(|key| given.has(key));
        if let (Some(_), Some(key)) = (self.quantization, quantizing)
            && self.dtype != BaseDtype::Auto
        {
            let (dtype, bits) = (given.place("base_dtype"), given.place(key));
            remarks
                .push(Remark::Note(format!("{dtype} has no effect beside {bits}, which decides how the base is held")));
        }
        if let (QuantizedCache::Folder(_), None) = (&self.quantized_cache, self.quantization) {
            let place = given.place("quantized_cache");
            remarks.push(Remark::Note(format!(
                "{place} has no effect without --quantization_bit: only quantized layers of the blocks are kept"
            )));
        }
    }

    /// A few words for people.
    pub fn describe(&self) -> String {
        let held = match self.quantization {
            None if self.dtype == BaseDtype::Auto => "the number format of its files".into(),
            None => format!("{:?}, or quantized as its files", self.dtype).to_lowercase(),
            Some(Quantization::Int8) => "INT8".into(),
            Some(Quantization::Int4) => "INT4".into(),
            Some(Quantization::Int4Grouped { group }) => format!("INT4 in groups of {group}"),
        };
        let held = match self.output_layer {
            None => held,
            Some(Quantization::Int8) => held + ", output layer in INT8",
            Some(_) => held + ", output layer in INT4",
        };
        let compute = self.compute.name();
        format!("{} held in {held}, products in {compute}", self.path.display())
    }
}
