//! A base with something added to some of its matrices, as merging a low-rank adapter does.

use super::source::{Packed, TensorSource};
use super::tensor::SourceTensor;
use crate::config::GlmConfig;
use crate::weights::NewTensor;
use crate::{ModelError, Result};
use std::collections::BTreeSet;

/// What is added to the matrices of a base.
pub trait WeightDelta {
    /// Full names of the matrices that change, e.g. `transformer.encoder.layers.0.self_attention.dense.weight`.
    fn sites(&self) -> Vec<String>;

    /// Adds the change of `name` to its values, row-major `[out, in]`.
    ///
    /// # Errors
    /// When the change has another shape.
    fn add_to(&self, name: &str, shape: [usize; 2], values: &mut [f32]) -> Result<()>;
}

/// A source whose matrices are those of `base` plus a change; all else is the base's, byte for byte.
pub struct Merged<'a> {
    base: &'a dyn TensorSource,
    delta: &'a dyn WeightDelta,
    sites: BTreeSet<String>,
}

impl<'a> Merged<'a> {
    /// Joins both.
    ///
    /// # Errors
    /// When there is nothing to merge, or a site is no matrix of the base.
    pub fn new(base: &'a dyn TensorSource, delta: &'a dyn WeightDelta) -> Result<Self> {
        let sites: BTreeSet<String> = delta.sites().into_iter().collect();
        if sites.is_empty() {
            return Err(ModelError::Setting("the adapter changes no matrix, so there is nothing to merge".into()));
        }
        for site in &sites {
            let tensor = base.describe(site)?;
            if tensor.shape.len() != 2 {
                let shape = &tensor.shape;
                return Err(ModelError::Setting(format!("{site} has shape {shape:?}; only matrices can be merged")));
            }
        }
        Ok(Self { base, delta, sites })
    }
}

impl TensorSource for Merged<'_> {
    fn config(&self) -> &GlmConfig {
        self.base.config()
    }

    fn describe(&self, name: &str) -> Result<NewTensor> {
        self.base.describe(name)
    }

    fn tensor(&self, name: &str) -> Result<SourceTensor<'_>> {
        let tensor = self.base.tensor(name)?;
        if !self.sites.contains(name) {
            return Ok(tensor);
        }
        let (shape, kept_as) = (tensor.shape().to_vec(), tensor.kept_as());
        let mut values = tensor.into_f32().map_err(|reason| ModelError::Setting(format!("tensor {name}: {reason}")))?;
        if let &[out, inner] = shape.as_slice() {
            self.delta.add_to(name, [out, inner], &mut values)?;
        }
        Ok(SourceTensor::computed(shape, kept_as, values))
    }

    fn packed(&self, name: &str) -> Option<Packed<'_>> {
        if self.sites.contains(name) { None } else { self.base.packed(name) }
    }

    fn unread(&self) -> Vec<String> {
        self.base.unread()
    }

    fn release(&self, name: &str) {
        self.base.release(name);
    }
}
