//! From a folder of weights to a network: every tensor is checked first, then streamed into its final form.

use super::norm::Norm;
use super::param::Param;
use super::trains::trained_type;
use super::{Block, Linear, Network, Trains, Weight, layout};
use crate::config::GlmConfig;
use crate::ops;
use crate::quant::{self, Compute, DenseType, Frozen, Scheme};
use crate::quantized_file::Quantized;
use crate::variant::{Names, NormKind};
use crate::weights::{TensorBytes, WeightFolder, fingerprint};
use crate::{ModelError, Result};
use candle_core::Var;
use glm_kernels::cpu::attention::Shape;
use std::path::Path;

/// Values that are compared at a time.
const PART: usize = 1 << 16;
/// Parts that are compared before their pages are released.
const PARTS_HELD: usize = 256;

/// Called while loading with bytes read and bytes in all.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// How a base is kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// Form of the linear layers of the blocks. A folder that is stored quantized keeps its own form, and a scheme that
    /// contradicts it is an error.
    pub scheme: Scheme,
    /// The weights that become f32 variables, whatever the scheme says. With bf16 as scheme they are the masters of what the
    /// forward pass sees rounded to bf16.
    pub trains: Trains,
    /// In which numbers products with frozen weights are made.
    pub compute: Compute,
    /// Form of the output layer, for inference and training. `None`: floats, as the official quantization leaves it. Where it
    /// is the embedding too, that stays in floats.
    pub output_layer: Option<Scheme>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            scheme: Scheme::Dense { dtype: None },
            trains: Trains::Nothing,
            compute: Compute::F32,
            output_layer: None,
        }
    }
}

impl Network {
    /// Loads a folder as Hugging Face publishes it.
    ///
    /// # Errors
    /// Names the file, tensor or key, what was expected and what was found; all tensors that do not fit at once.
    pub fn load(folder: &Path, options: LoadOptions, progress: Progress<'_>) -> Result<Self> {
        let config = GlmConfig::read(folder)?;
        let weights = WeightFolder::open(folder)?;
        Self::from_weights(config, &weights, options, progress)
    }

    /// Builds the network from opened weights.
    ///
    /// # Errors
    /// As [`Network::load`].
    pub fn from_weights(
        config: GlmConfig,
        weights: &WeightFolder,
        options: LoadOptions,
        progress: Progress<'_>,
    ) -> Result<Self> {
        Self::from_quantized(config, weights, options, Quantized::default(), progress)
    }

    /// As [`Network::from_weights`], with matrices that were quantized from these weights before; what is not among them is
    /// quantized now.
    ///
    /// # Errors
    /// As [`Network::load`].
    pub fn from_quantized(
        config: GlmConfig,
        weights: &WeightFolder,
        options: LoadOptions,
        quantized: Quantized,
        progress: Progress<'_>,
    ) -> Result<Self> {
        layout::check(&config, weights)?;
        options.trains.check(&config, options.scheme).map_err(ModelError::Setting)?;
        Self::build(config, weights, options, quantized, progress)
    }

    /// Loads embedding, output layer and the first `layers` blocks of a folder: enough to measure what a block costs.
    ///
    /// # Errors
    /// As [`Network::load`].
    pub fn load_first(folder: &Path, layers: usize, options: LoadOptions, progress: Progress<'_>) -> Result<Self> {
        let config = GlmConfig::read(folder)?;
        let weights = WeightFolder::open(folder)?;
        layout::check(&config, &weights)?;
        let num_layers = layers.min(config.num_layers);
        Self::build(GlmConfig { num_layers, ..config }, &weights, options, Quantized::default(), progress)
    }

    fn build(
        config: GlmConfig,
        weights: &WeightFolder,
        options: LoadOptions,
        quantized: Quantized,
        progress: Progress<'_>,
    ) -> Result<Self> {
        let scheme = stored_scheme(&config, weights, options)?;
        let trains = options.trains;
        let all = trains == Trains::All;
        if all && options.output_layer.is_some() {
            return Err(ModelError::Setting("all weights are to train, which a quantized output layer cannot".into()));
        }
        let mut loader = Loader {
            weights,
            scheme,
            compute: options.compute,
            trainable: all,
            in_bf16: trains != Trains::Nothing && trained_type(scheme) == DenseType::Bf16,
            // Who quantized these weights has read all of them.
            known: !quantized.is_empty(),
            quantized,
            parameters: Vec::new(),
            done: 0,
            total: weights.bytes(),
            progress,
        };
        let dense = Scheme::Dense { dtype: options.scheme.dense_type() };
        let names = Names::of(config.variant);
        let embedding = loader.matrix(names.embedding, dense)?;
        let mut blocks = Vec::new();
        for layer in 0..config.num_layers {
            loader.trainable = trains.block(layer, config.num_layers);
            blocks.push(loader.block(&config, layer)?);
        }
        loader.trainable = all;
        let final_norm = loader.norm(&config, names.final_norm)?;
        let output_layer = options.output_layer;
        let output = if config.knobs.tied_embeddings {
            loader.check_copy(names.output, names.embedding)?;
            match output_layer {
                None => embedding.clone(),
                Some(scheme) => {
                    loader.total += loader.bytes(names.embedding)?.data.len() as u64;
                    loader.matrix(names.embedding, scheme)?
                }
            }
        } else {
            loader.matrix(names.output, output_layer.unwrap_or(dense))?
        };
        let parameters = loader.parameters;
        let fingerprint = fingerprint(weights);
        Ok(Self {
            config,
            embedding,
            blocks,
            final_norm,
            output,
            parameters,
            fingerprint,
            scheme,
            trains,
            compute: options.compute,
            output_layer,
        })
    }
}

/// The scheme of a folder: its own when it is stored quantized, else the one asked for.
fn stored_scheme(config: &GlmConfig, weights: &WeightFolder, options: LoadOptions) -> Result<Scheme> {
    let Some(bits) = config.quantization_bit else { return Ok(options.scheme) };
    let path = weights.path().display();
    if options.trains != Trains::Nothing {
        return Err(ModelError::Setting(format!(
            "{path} is stored in INT{bits}; its weights cannot train. Train an adapter over it (--pre_seq_len 128), or use the unquantized folder"
        )));
    }
    options.scheme.over_stored(bits).map_err(|reason| ModelError::Setting(format!("{path} {reason}")))
}

struct Loader<'a> {
    weights: &'a WeightFolder,
    scheme: Scheme,
    compute: Compute,
    /// Whether what is read now trains.
    trainable: bool,
    /// Whether the network is used in bf16, vectors included, as it will be saved.
    in_bf16: bool,
    /// Matrices that are ready.
    quantized: Quantized,
    /// Whether these weights were read as a whole before, and found to be numbers.
    known: bool,
    parameters: Vec<(String, Var)>,
    done: u64,
    total: u64,
    progress: Progress<'a>,
}

impl Loader<'_> {
    fn bytes(&self, name: &str) -> Result<TensorBytes<'_>> {
        self.weights.get(name).ok_or_else(|| ModelError::file(self.weights.path(), format!("tensor {name} is missing")))
    }

    fn finished(&mut self, name: &str) {
        self.done += self.weights.entry(name).map_or(0, |e| e.range.len() as u64);
        self.weights.release(name);
        (self.progress)(self.done, self.total);
    }

    fn wrong(&self, name: &str, reason: String) -> ModelError {
        ModelError::file(self.weights.path(), format!("tensor {name}: {reason}"))
    }

    /// A vector (norm or bias) or any tensor that trains, in f32.
    fn vector(&mut self, name: &str) -> Result<Param> {
        let tensor = self.bytes(name)?;
        let shape = tensor.shape.clone();
        let values = tensor
            .all_f32()
            .ok_or_else(|| self.wrong(name, format!("its elements are {}, expected floats", tensor.dtype)))?;
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(self.wrong(name, format!("element {at} is {}; the file is damaged", values[at])));
        }
        let mut tensor = ops::tensor(values, shape)?;
        if self.trainable {
            let var = Var::from_tensor(&tensor)?;
            tensor = var.as_tensor().clone();
            self.parameters.push((name.to_string(), var));
        } else if self.in_bf16 {
            tensor = ops::rounded_to_bf16(&tensor)?;
        }
        self.finished(name);
        Ok(if self.trainable && self.in_bf16 { Param::master(tensor) } else { Param::new(tensor) })
    }

    fn matrix(&mut self, name: &str, scheme: Scheme) -> Result<Weight> {
        self.matrix_in(name, scheme, self.compute)
    }

    fn matrix_in(&mut self, name: &str, scheme: Scheme, compute: Compute) -> Result<Weight> {
        if self.trainable {
            return Ok(Weight::Trainable(self.vector(name)?));
        }
        let weight = match self.quantized.take(name) {
            Some(weight) => Ok(weight),
            None if self.known => scheme.freeze_known(&self.bytes(name)?, self.weights.part(name)),
            None => scheme.freeze(&self.bytes(name)?, self.weights.part(name)),
        };
        let weight = weight.map_err(|reason| self.wrong(name, reason))?;
        self.finished(name);
        Ok(Weight::Frozen(Frozen { weight, compute }))
    }

    /// One matrix serves as embedding and output layer; a stored copy of it must say the same.
    fn check_copy(&mut self, copy: &str, original: &str) -> Result<()> {
        let Some(found) = self.weights.get(copy) else { return Ok(()) };
        let expected = self.bytes(original)?;
        // A part at a time, and no page stays: both as a whole may be larger than the network.
        let mut parts = (0..expected.len()).step_by(PART).map(|at| at..expected.len().min(at + PART)).enumerate();
        let same = parts.all(|(number, part)| {
            if number % PARTS_HELD == PARTS_HELD - 1 {
                self.weights.release(copy);
                self.weights.release(original);
            }
            if found.dtype == expected.dtype {
                let bytes = part.start * found.dtype.size()..part.end * found.dtype.size();
                return found.data.get(bytes.clone()) == expected.data.get(bytes);
            }
            found.to_f32(part.clone()).is_some_and(|f| Some(f) == expected.to_f32(part))
        }) && found.len() == expected.len();
        if !same {
            let reason = format!(
                "it should be a copy of {original}, as one matrix serves as both, but differs; the file is damaged, or \
                 was put together from two models"
            );
            return Err(self.wrong(copy, reason));
        }
        self.finished(copy);
        self.weights.release(original);
        Ok(())
    }

    fn norm(&mut self, config: &GlmConfig, module: &str) -> Result<Norm> {
        let weight = self.vector(&format!("{module}.weight"))?;
        let eps = config.layernorm_epsilon;
        Ok(match config.knobs.norm {
            NormKind::Rms => Norm::Rms { weight, eps },
            NormKind::Layer => Norm::Layer { weight, bias: self.vector(&format!("{module}.bias"))?, eps },
        })
    }

    fn linear(&mut self, name: &str, quantization_bit: Option<u8>, bias: bool, compute: Compute) -> Result<Linear> {
        let weight_name = format!("{name}.weight");
        let weight = match quantization_bit {
            None => self.matrix_in(&weight_name, self.scheme, compute)?,
            Some(bits) => {
                let scale_name = format!("{name}.weight_scale");
                let (packed, scale) = (self.bytes(&weight_name)?, self.bytes(&scale_name)?);
                let weight = quant::load_official(bits, &packed, &scale, self.weights.part(&weight_name))
                    .map_err(|reason| self.wrong(&weight_name, reason))?;
                self.finished(&weight_name);
                self.finished(&scale_name);
                Weight::Frozen(Frozen { weight, compute })
            }
        };
        let bias = if bias { Some(self.vector(&format!("{name}.bias"))?) } else { None };
        Ok(Linear { weight, bias })
    }

    fn block(&mut self, config: &GlmConfig, layer: usize) -> Result<Block> {
        let mut parts = Vec::with_capacity(4);
        let names = Names::of(config.variant);
        // The disk reads the next block while this one is quantized.
        let coming = if layer == 0 { 0..2 } else { layer + 1..layer + 2 };
        for layer in coming.filter(|layer| !self.known && *layer < config.num_layers) {
            for (module, _, _) in layout::linears(config) {
                self.weights.fetch(&format!("{}.weight", names.block(layer, module)));
            }
        }
        let input_norm = self.norm(config, &names.block(layer, layout::INPUT_NORM))?;
        let post_norm = self.norm(config, &names.block(layer, layout::POST_NORM))?;
        for (module, _, bias) in layout::linears(config) {
            let compute = if parts.is_empty() { self.compute.for_scores() } else { self.compute };
            parts.push(self.linear(&names.block(layer, module), config.quantization_bit, bias, compute)?);
        }
        let [query_key_value, attention_out, mlp_in, mlp_out] =
            <[Linear; 4]>::try_from(parts).map_err(|_| ModelError::Setting("a block has four linear layers".into()))?;
        Ok(Block {
            input_norm,
            query_key_value,
            attention_out,
            post_norm,
            mlp_in,
            mlp_out,
            shape: Shape { heads: config.num_attention_heads, groups: config.kv_groups, head_dim: config.head_dim },
            activation: config.knobs.activation,
            residual: config.knobs.residual,
        })
    }
}
