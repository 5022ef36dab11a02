//! Trained tensors: all of a network's, or some over a base that kept the others.

use super::source::{Packed, TensorSource, tied_to};
use super::tensor::SourceTensor;
use crate::config::GlmConfig;
use crate::ops::with_floats;
use crate::weights::{ElementType, NewTensor};
use crate::{ModelError, Result};
use candle_core::Var;
use std::collections::BTreeMap;

/// A source of trained tensors by their official names.
pub struct Parameters<'a> {
    config: &'a GlmConfig,
    trained: BTreeMap<&'a str, &'a Var>,
    base: Option<&'a dyn TensorSource>,
}

impl<'a> Parameters<'a> {
    /// `parameters` as [`crate::Network::parameters`] gives them. What they lack is taken from `base`. A trained tensor is
    /// kept in the type in which the base stores it, without a base in f32.
    pub fn new(config: &'a GlmConfig, parameters: &'a [(String, Var)], base: Option<&'a dyn TensorSource>) -> Self {
        let trained = parameters.iter().map(|(name, var)| (name.as_str(), var)).collect();
        Self { config, trained, base }
    }

    /// What trained under that name; a tied output layer is whatever became of the embedding.
    fn trained(&self, name: &str) -> Option<&'a Var> {
        let embedding = || self.trained.get(tied_to(self.config, name)?);
        self.trained.get(name).or_else(embedding).copied()
    }

    fn base(&self, name: &str) -> Result<&'a dyn TensorSource> {
        self.base
            .ok_or_else(|| ModelError::Setting(format!("tensor {name} did not train, and no base was given for it")))
    }
}

impl TensorSource for Parameters<'_> {
    fn config(&self) -> &GlmConfig {
        self.config
    }

    fn describe(&self, name: &str) -> Result<NewTensor> {
        let Some(var) = self.trained(name) else { return self.base(name)?.describe(name) };
        let stored = self.base.and_then(|base| base.describe(name).ok());
        let dtype = stored.map_or(ElementType::F32, |stored| stored.dtype);
        Ok(NewTensor { name: name.to_string(), dtype, shape: var.dims().to_vec() })
    }

    fn tensor(&self, name: &str) -> Result<SourceTensor<'_>> {
        let Some(var) = self.trained(name) else { return self.base(name)?.tensor(name) };
        let NewTensor { dtype, shape, .. } = self.describe(name)?;
        Ok(SourceTensor::computed(shape, dtype, with_floats(var.as_tensor(), <[f32]>::to_vec)?))
    }

    fn packed(&self, name: &str) -> Option<Packed<'_>> {
        if self.trained(name).is_some() { None } else { self.base?.packed(name) }
    }

    fn unread(&self) -> Vec<String> {
        self.base.map(TensorSource::unread).unwrap_or_default()
    }

    fn release(&self, name: &str) {
        if let Some(base) = self.base {
            base.release(name);
        }
    }
}
