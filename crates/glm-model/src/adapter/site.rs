//! The linear layers of a block that an adapter may add to, and what people and files call them.

use crate::config::GlmConfig;
use crate::glm::{SITES, layout};
use crate::variant::Names;
use crate::{ModelError, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A linear layer of every block, in the order of [`crate::glm::Block::linears`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Site {
    /// The fused projection to queries, keys and values.
    QueryKeyValue,
    /// The projection after attention.
    Dense,
    /// The first layer of the MLP.
    #[serde(rename = "dense_h_to_4h")]
    DenseHTo4h,
    /// The second layer of the MLP.
    #[serde(rename = "dense_4h_to_h")]
    Dense4hToH,
}

impl Site {
    /// All of them.
    pub const ALL: [Self; SITES] = [Self::QueryKeyValue, Self::Dense, Self::DenseHTo4h, Self::Dense4hToH];

    /// Place in the block.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The last part of its module's name, the same in all variants.
    pub fn name(self) -> &'static str {
        ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"][self.index()]
    }

    /// Its module's name within a block of `base`, for example `self_attention.dense`.
    pub fn part(self, base: &GlmConfig) -> &'static str {
        layout::linears(base)[self.index()].0
    }

    /// Its module's full name in block `layer` of `base`.
    pub fn module(self, base: &GlmConfig, layer: usize) -> String {
        Names::of(base.variant).block(layer, self.part(base))
    }

    /// `[out, in]` of its weight.
    pub fn shape(self, base: &GlmConfig) -> [usize; 2] {
        layout::linears(base)[self.index()].1
    }
}

/// Reads a list as peft takes it: names separated by commas, each matching the modules whose name ends with it after a
/// point (`dense` is the layer after attention only), or `all-linear`.
///
/// # Errors
/// Names what matches nothing, and lists what this base has.
pub fn parse_targets(text: &str, base: &GlmConfig) -> Result<BTreeSet<Site>> {
    let mut targets = BTreeSet::new();
    let known = || Site::ALL.map(|site| site.part(base)).join(", ");
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if name == "all-linear" {
            targets.extend(Site::ALL);
            continue;
        }
        let matches =
            |site: &Site| site.part(base).strip_suffix(name).is_some_and(|s| s.is_empty() || s.ends_with('.'));
        let matched: Vec<Site> = Site::ALL.into_iter().filter(matches).collect();
        if matched.is_empty() {
            return Err(ModelError::Setting(format!(
                "--lora_target: no linear layer of this {} base is called {name}; there are {} (the last part of a name is \
                 enough), or all-linear for all of them",
                base.variant.name(),
                known(),
            )));
        }
        targets.extend(matched);
    }
    if targets.is_empty() {
        let reason = format!("--lora_target: expected at least one of {}, or all-linear; found {text:?}", known());
        return Err(ModelError::Setting(reason));
    }
    Ok(targets)
}
