//! Where the values of an exported model come from.

use super::tensor::SourceTensor;
use crate::config::GlmConfig;
use crate::glm::layout;
use crate::variant::Names;
use crate::weights::{ElementType, NewTensor, TensorBytes, WeightFolder};
use crate::{ModelError, Result, adapter, quant};
use rayon::prelude::*;
use std::path::Path;

/// The tensors of a model by their official names, as floats, whatever form they are stored in.
pub trait TensorSource {
    /// Configuration of the source; `quantization_bit` says how it is stored, not what it gives.
    fn config(&self) -> &GlmConfig;

    /// Name, float type that the source keeps it in, and shape of a tensor, without making it.
    ///
    /// # Errors
    /// When there is no such tensor.
    fn describe(&self, name: &str) -> Result<NewTensor>;

    /// A tensor as floats.
    ///
    /// # Errors
    /// When there is no such tensor or it cannot be made.
    fn tensor(&self, name: &str) -> Result<SourceTensor<'_>>;

    /// The stored integers of a quantized matrix that nothing has changed.
    fn packed(&self, _name: &str) -> Option<Packed<'_>> {
        None
    }

    /// Tensors that the official files hold although no network reads them (rotary frequencies).
    fn unread(&self) -> Vec<String> {
        Vec::new()
    }

    /// Says that a tensor was read and its pages need not stay resident.
    fn release(&self, _name: &str) {}
}

/// A matrix in the official quantized layout.
#[derive(Debug, Clone)]
pub struct Packed<'a> {
    /// 4 or 8.
    pub bits: u8,
    /// Integers, `[out, in * bits / 8]`.
    pub weight: TensorBytes<'a>,
    /// One scale a row, `[out]`.
    pub scale: TensorBytes<'a>,
}

/// Names and shapes of a model's tensors when nothing is quantized, then those that are stored but never read.
pub(super) fn dense_layout(source: &dyn TensorSource) -> Vec<String> {
    let config = GlmConfig { quantization_bit: None, ..source.config().clone() };
    layout::tensors(&config).into_iter().map(|(name, _)| name).chain(source.unread()).collect()
}

/// The embedding, when `name` is an output layer that is tied to it.
pub(super) fn tied_to(config: &GlmConfig, name: &str) -> Option<&'static str> {
    let names = Names::of(config.variant);
    (config.knobs.tied_embeddings && name == names.output).then_some(names.embedding)
}

/// An opened base folder, mapped; stored integers become floats when they are asked for.
#[derive(Debug)]
pub struct FolderSource {
    config: GlmConfig,
    weights: WeightFolder,
}

impl FolderSource {
    /// Opens a folder and checks that it holds what its configuration says.
    ///
    /// # Errors
    /// Names the file or key, or all tensors that do not fit.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::new(GlmConfig::read(folder)?, WeightFolder::open(folder)?)
    }

    /// Takes opened weights.
    ///
    /// # Errors
    /// Names all tensors that do not fit the configuration.
    pub fn new(config: GlmConfig, weights: WeightFolder) -> Result<Self> {
        adapter::refuse_as_base(&weights)?;
        let problems = layout::differences(&config, &weights);
        if !problems.is_empty() {
            return Err(ModelError::Weights { path: weights.path().to_path_buf(), problems: problems.join("\n") });
        }
        Ok(Self { config, weights })
    }

    /// The opened files.
    pub fn weights(&self) -> &WeightFolder {
        &self.weights
    }

    /// A copy of the embedding stands for a tied output layer that the files leave out.
    fn stored(&self, name: &str) -> Result<TensorBytes<'_>> {
        let embedding = tied_to(&self.config, name).and_then(|embedding| self.weights.get(embedding));
        self.weights
            .get(name)
            .or(embedding)
            .ok_or_else(|| ModelError::file(self.weights.path(), format!("tensor {name} is missing")))
    }

    fn wrong(&self, name: &str, reason: &str) -> ModelError {
        ModelError::file(self.weights.path(), format!("tensor {name}: {reason}"))
    }
}

impl TensorSource for FolderSource {
    fn config(&self) -> &GlmConfig {
        &self.config
    }

    fn describe(&self, name: &str) -> Result<NewTensor> {
        let (dtype, shape) = match self.packed(name) {
            Some(packed) => (packed.scale.dtype, packed.shape()),
            None => {
                let stored = self.stored(name)?;
                (stored.dtype, stored.shape)
            }
        };
        if !dtype.is_float() {
            return Err(self.wrong(name, &format!("its elements are {dtype}, expected floats")));
        }
        Ok(NewTensor { name: name.to_string(), dtype, shape })
    }

    fn tensor(&self, name: &str) -> Result<SourceTensor<'_>> {
        let NewTensor { dtype, shape, .. } = self.describe(name)?;
        match self.packed(name) {
            None => Ok(SourceTensor::stored(self.stored(name)?)),
            Some(packed) => {
                let values = packed.to_f32().map_err(|reason| self.wrong(name, &reason))?;
                Ok(SourceTensor::computed(shape, dtype, values))
            }
        }
    }

    fn packed(&self, name: &str) -> Option<Packed<'_>> {
        let bits = self.config.quantization_bit?;
        let scale = self.weights.get(&scale_name(name)?)?;
        Some(Packed { bits, weight: self.weights.get(name)?, scale })
    }

    fn unread(&self) -> Vec<String> {
        let names = Names::of(self.config.variant);
        let float = |name: &str| self.weights.entry(name).is_some_and(|entry| entry.dtype.is_float());
        self.weights.names().filter(|name| names.ignored(name) && float(name)).map(str::to_string).collect()
    }

    fn release(&self, name: &str) {
        self.weights.release(name);
        if let Some(scale) = scale_name(name) {
            self.weights.release(&scale);
        }
    }
}

/// Where the scales of the matrix `X.weight` lie: `X.weight_scale`.
pub(super) fn scale_name(weight: &str) -> Option<String> {
    weight.ends_with(".weight").then(|| format!("{weight}_scale"))
}

impl Packed<'_> {
    /// `[out, in]` of the matrix.
    fn shape(&self) -> Vec<usize> {
        match self.weight.shape.as_slice() {
            &[out, stride] => vec![out, stride * 8 / usize::from(self.bits)],
            other => other.to_vec(),
        }
    }

    /// The values `integer * scale`, in f32.
    ///
    /// # Errors
    /// A sentence, without the tensor's name, when types or shapes are not those of the official layout.
    pub fn to_f32(&self) -> Result<Vec<f32>, String> {
        let frozen = quant::load_official(self.bits, &self.weight, &self.scale, None)?;
        let (out, inner) = frozen.shape();
        let mut values = vec![0.0; out * inner];
        values.par_chunks_mut(inner.max(1)).enumerate().for_each(|(index, row)| frozen.row(index, row));
        Ok(values)
    }
}

/// The type that most of a model is kept in: that of its largest tensor.
pub(super) fn main_type(tensors: &[NewTensor]) -> ElementType {
    tensors.iter().max_by_key(|tensor| tensor.elements()).map_or(ElementType::F32, |tensor| tensor.dtype)
}
