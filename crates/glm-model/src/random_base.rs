//! Bases with random weights in the official file layout: real sizes for benches and tests without a download.
//!
//! Every value follows from the seed, the tensor and its place in it alone, not from the number of threads, the file
//! format or the way the tensors are spread over files.
//!
//! The first generation's norms are f32 in 16-bit files, and its output layer is a copy of the embedding, as published.

use crate::config::GlmConfig;
use crate::glm::layout;
use crate::ops;
use crate::variant::{self, Names, NormKind, Rotary};
use crate::weights::{ElementType, FileFormat, NewTensor, Shards};
use crate::{DenseType, ModelError, Result};
use glm_data::{Rng, Tokenizer, Variant};
use half::{bf16, f16};
use rayon::prelude::*;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Standard deviation of matrices, embeddings and biases: that of the published models' initialisation.
const SPREAD: f32 = 0.02;
/// Standard deviation of the norms around 1.
const NORM_SPREAD: f32 = 0.05;
/// Values that are drawn from one random stream. Part of what a seed means: another number gives other weights.
const STREAM_VALUES: usize = 1 << 16;
/// Streams that are in memory at a time, some for every thread.
const STREAMS_AT_ONCE: usize = 64;

/// What to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RandomBase {
    /// Member of the family.
    pub variant: Variant,
    /// Keys of its `config.json` that differ from the published model's, for example `num_layers` and `hidden_size`.
    /// ChatGLM2's keys do for ChatGLM-6B as well.
    pub sizes: Vec<(&'static str, usize)>,
    /// Seed of the weights.
    pub seed: u64,
    /// Element type in the files.
    pub dtype: DenseType,
    /// File format.
    pub format: FileFormat,
    /// Most bytes of one file; a tensor that is larger has a file of its own.
    pub shard_size: u64,
    /// A vocabulary (`tokenizer.model`, for the first generation `ice_text.model`) to put into the folder, or a folder that holds one.
    pub tokenizer: Option<PathBuf>,
}

impl RandomBase {
    /// The configuration that the folder will have.
    ///
    /// # Errors
    /// Names the size that does not fit the others, or that the variant does not have, or a broken vocabulary.
    pub fn config(&self) -> Result<GlmConfig> {
        let mut raw = variant::published(self.variant);
        for (given, size) in &self.sizes {
            let key = own_key(self.variant, given);
            if !raw.contains_key(key) && key != "rope_ratio" {
                let reason = format!("{given} is no size of {}; leave it out", self.variant.name());
                return Err(ModelError::Setting(reason));
            }
            raw.insert(key.into(), (*size).into());
        }
        if self.variant == Variant::ChatGlm {
            self.place_special_ids(&mut raw)?;
        }
        let name = match self.dtype {
            DenseType::F32 => "float32",
            DenseType::Bf16 => "bfloat16",
            DenseType::F16 => "float16",
        };
        raw.insert("torch_dtype".into(), name.into());
        GlmConfig::from_raw(raw).map_err(ModelError::Setting)
    }

    /// Writes the files into `folder`, which must exist. `progress` is called with bytes written and bytes in all. Memory
    /// stays within some megabytes whatever the sizes.
    ///
    /// # Errors
    /// Names the size that does not fit, or the file that the system refuses.
    pub fn write(&self, folder: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
        let config = self.config()?;
        self.write_config(folder, &config.raw)?;
        if let Some(tokenizer) = &self.tokenizer {
            copy_tokenizer(tokenizer, folder, &config)?;
        }
        let dtype = match self.dtype {
            DenseType::F32 => ElementType::F32,
            DenseType::Bf16 => ElementType::BF16,
            DenseType::F16 => ElementType::F16,
        };
        let shards = Shards::plan(tensors(&config, dtype), self.format, self.shard_size);
        let names = Names::of(config.variant);
        let (mut done, total) = (0, shards.bytes());
        shards.write(folder, &mut |index, out| {
            let tensor = &shards.tensors()[index];
            if names.ignored(&tensor.name) {
                return out.write_all(&encode(&frequencies(&config), tensor.dtype));
            }
            // A tied output layer has the values of the embedding, which is the first tensor.
            let copy = config.knobs.tied_embeddings && tensor.name == names.output;
            let source = if copy { 0 } else { index };
            let (middle, spread) = distribution(&tensor.name, config.num_layers);
            let elements = tensor.elements();
            for first in (0..elements).step_by(STREAM_VALUES * STREAMS_AT_ONCE) {
                let streams = (first..elements.min(first + STREAM_VALUES * STREAMS_AT_ONCE)).into_par_iter();
                let parts: Vec<Vec<u8>> = streams
                    .step_by(STREAM_VALUES)
                    .map(|start| {
                        // Tensors have far fewer than 2^32 streams, so no two share one.
                        let stream = (source as u64) << 32 | (start / STREAM_VALUES) as u64;
                        let mut rng = Rng::with_stream(self.seed, stream);
                        let values = normals(&mut rng, STREAM_VALUES.min(elements - start), middle, spread);
                        encode(&values, tensor.dtype)
                    })
                    .collect();
                for part in parts {
                    out.write_all(&part)?;
                    done += part.len() as u64;
                }
                progress(done, total);
            }
            Ok(())
        })
    }

    /// The ids that ChatGLM-6B's configuration names: those of the vocabulary, or where there is none and the published ids
    /// lie outside, places near the end in the published order.
    fn place_special_ids(&self, raw: &mut Map<String, Value>) -> Result<()> {
        let rows = raw["vocab_size"].as_u64().unwrap_or(0);
        let from_end = |n: u64| rows.saturating_sub(n);
        let mut ids = [
            ("mask_token_id", from_end(10)),
            ("gmask_token_id", from_end(9)),
            ("bos_token_id", from_end(6)),
            ("eos_token_id", from_end(5)),
        ];
        if let Some(tokenizer) = &self.tokenizer {
            let tokenizer = open_tokenizer(tokenizer, self.variant)?.1;
            let theirs = [tokenizer.mask_id(), tokenizer.gmask_id(), tokenizer.sop_id(), tokenizer.eop_id()];
            ids.iter_mut().zip(theirs).for_each(|((_, id), own)| *id = own.into());
        } else if rows > raw["eos_token_id"].as_u64().unwrap_or(0) {
            return Ok(());
        }
        let free = ids.into_iter().filter(|(key, _)| !self.sizes.iter().any(|(given, _)| given == key));
        free.for_each(|(key, id)| drop(raw.insert(key.into(), id.into())));
        Ok(())
    }

    fn write_config(&self, folder: &Path, raw: &Map<String, Value>) -> Result<()> {
        let path = folder.join("config.json");
        let text = serde_json::to_string_pretty(raw).expect("a json object is always text");
        std::fs::write(&path, text + "\n").map_err(ModelError::io(&path))
    }
}

/// The tensors of the official files, in their order, the unread frequencies included.
fn tensors(config: &GlmConfig, dtype: ElementType) -> Vec<NewTensor> {
    let names = Names::of(config.variant);
    let new = |(name, shape): (String, Vec<usize>)| {
        let full = config.knobs.norm == NormKind::Layer && name.contains("layernorm");
        NewTensor { name, dtype: if full { ElementType::F32 } else { dtype }, shape }
    };
    let unread = |name: String| NewTensor { name, dtype, shape: vec![frequencies(config).len()] };
    let mut tensors: Vec<NewTensor> = layout::tensors(config).into_iter().map(new).collect();
    if names.frequencies_in_blocks() {
        for layer in 0..config.num_layers {
            let fused = names.block(layer, names.linears[0]) + ".weight";
            let at = tensors.iter().position(|tensor| tensor.name == fused).unwrap_or(tensors.len());
            tensors.insert(at, unread(names.block(layer, names.frequencies)));
        }
    } else {
        tensors.insert(1, unread(names.frequencies.to_string()));
    }
    tensors
}

/// Rotary frequencies as the official files hold them: those of half a head.
fn frequencies(config: &GlmConfig) -> Vec<f32> {
    let base = match config.knobs.rotary {
        Rotary::HalfOfHead { base } => base,
        Rotary::TwoPositions => ops::ROPE_BASE,
    };
    ops::frequencies(config.head_dim / 2, base)
}

/// Middle and standard deviation of a tensor. What is added to the residual stream is smaller the more blocks add to it
/// (1/√(2·layers), as in GPT-2), so that activations stay in the range of half precision at any depth.
fn distribution(name: &str, layers: usize) -> (f32, f32) {
    if name.contains("layernorm") && name.ends_with("bias") {
        (0.0, SPREAD)
    } else if name.contains("layernorm") {
        (1.0, NORM_SPREAD)
    } else if name.ends_with("attention.dense.weight") || name.ends_with("mlp.dense_4h_to_h.weight") {
        (0.0, SPREAD / libm::sqrtf(2.0 * layers as f32))
    } else {
        (0.0, SPREAD)
    }
}

/// Normally distributed values, by Marsaglia's polar method; the two numbers of a pair are both used.
fn normals(rng: &mut Rng, count: usize, middle: f32, spread: f32) -> Vec<f32> {
    // Both coordinates come from one draw; 32 bits each are finer than an f32 near 1.
    let coordinate = |bits: u32| f64::from(bits as i32) * (1.0 / f64::from(1u32 << 31));
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let bits = rng.next_u64();
        let (u, v) = (coordinate(bits as u32), coordinate((bits >> 32) as u32));
        let s = u * u + v * v;
        if s > 0.0 && s < 1.0 {
            let factor = (-2.0 * libm::log(s) / s).sqrt();
            values.push(middle + spread * (u * factor) as f32);
            values.push(middle + spread * (v * factor) as f32);
        }
    }
    values.truncate(count);
    values
}

/// # Panics
/// For types that no base has.
fn encode(values: &[f32], dtype: ElementType) -> Vec<u8> {
    match dtype {
        ElementType::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ElementType::BF16 => values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
        ElementType::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
        other => unreachable!("{other} is none of the types of a base"),
    }
}

/// The key of a size in a variant's `config.json`.
fn own_key(variant: Variant, key: &'static str) -> &'static str {
    match (variant, key) {
        (Variant::ChatGlm, "ffn_hidden_size") => "inner_hidden_size",
        (Variant::ChatGlm, "padded_vocab_size") => "vocab_size",
        (Variant::ChatGlm, "seq_length") => "max_sequence_length",
        _ => key,
    }
}

/// Name of the vocabulary in a folder.
fn tokenizer_name(variant: Variant) -> &'static str {
    match variant {
        Variant::ChatGlm => "ice_text.model",
        Variant::ChatGlm2 | Variant::ChatGlm3 => "tokenizer.model",
    }
}

/// A vocabulary and the file that it is in; `from` is that file or its folder.
fn open_tokenizer(from: &Path, variant: Variant) -> Result<(PathBuf, Tokenizer)> {
    let file = if from.is_dir() { from.join(tokenizer_name(variant)) } else { from.to_path_buf() };
    let tokenizer = Tokenizer::from_file(&file, variant).map_err(|e| ModelError::Setting(e.to_string()))?;
    Ok((file, tokenizer))
}

/// A vocabulary that is larger than the embedding would fail only later, at the first rare word.
fn copy_tokenizer(from: &Path, folder: &Path, config: &GlmConfig) -> Result<()> {
    let (file, tokenizer) = open_tokenizer(from, config.variant)?;
    let (tokens, rows) = (tokenizer.vocab_size(), config.vocab_size);
    if tokens > rows {
        let key = own_key(config.variant, "padded_vocab_size");
        let reason = format!("it has {tokens} tokens, but {key} is only {rows}; give more or leave it out");
        return Err(ModelError::file(&file, reason));
    }
    let bytes = std::fs::read(&file).map_err(ModelError::io(&file))?;
    let to = folder.join(tokenizer_name(config.variant));
    std::fs::write(&to, bytes).map_err(ModelError::io(&to))
}
