//! What merging a LoRA adapter adds to the matrices of its base.

use super::merged::WeightDelta;
use crate::adapter::{LoraAdapter, Site};
use crate::config::GlmConfig;
use crate::ops::with_floats;
use crate::{ModelError, Result};
use std::collections::BTreeMap;

/// `scale · B A` at every place of an adapter.
#[derive(Debug)]
pub struct LoraDelta<'a> {
    adapter: &'a LoraAdapter,
    places: BTreeMap<String, (usize, Site)>,
}

impl<'a> LoraDelta<'a> {
    /// The additions of `adapter` to `base`.
    pub fn new(adapter: &'a LoraAdapter, base: &GlmConfig) -> Self {
        let name = |(layer, site): &(usize, Site)| format!("{}.weight", site.module(base, *layer));
        Self { adapter, places: adapter.places().iter().map(|place| (name(place), *place)).collect() }
    }
}

impl WeightDelta for LoraDelta<'_> {
    fn sites(&self) -> Vec<String> {
        self.places.keys().cloned().collect()
    }

    fn add_to(&self, name: &str, shape: [usize; 2], values: &mut [f32]) -> Result<()> {
        let Some((layer, site)) = self.places.get(name) else { return Ok(()) };
        let Some(delta) = self.adapter.weight_delta(*layer, *site)? else { return Ok(()) };
        if delta.dims() != shape {
            let reason = format!("the adapter adds {:?} to {name}, which is {shape:?}", delta.dims());
            return Err(ModelError::Setting(reason));
        }
        Ok(with_floats(&delta, |delta| values.iter_mut().zip(delta).for_each(|(value, more)| *value += more))?)
    }
}
