//! The quantized matrices of a base that is stored in floats, kept in one safetensors file: the next start maps them
//! instead of reading and quantizing the floats again.
//!
//! The file holds each matrix as the official quantized folders do, `….weight` and `….weight_scale` (groups: scales `[out,
//! in / group]`), but INT4 with its rows interleaved, as it lies in memory; and in its header what it was made of.
//! [`QuantizedFile::open`] takes it only when all of that is the same now and every tensor has the checksum that it was
//! written with.

mod identity;
mod open;
mod write;

use crate::config::GlmConfig;
use crate::glm::{LoadOptions, Trains, layout};
use crate::quant::{FrozenWeight, InterleavedInt4, Scheme};
use crate::variant::Names;
use crate::weights::{NewTensor, WeightFolder};
use identity::Identity;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Matrices by the names of their tensors, ready for use.
#[derive(Debug, Default)]
pub struct Quantized(BTreeMap<String, Arc<dyn FrozenWeight>>);

impl Quantized {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Arc<dyn FrozenWeight>> {
        self.0.remove(name)
    }
}

/// Where the quantized form of one base is kept, and what must be in it.
#[derive(Debug)]
pub struct QuantizedFile {
    path: PathBuf,
    scheme: Scheme,
    matrices: Vec<(String, [usize; 2])>,
    identity: Identity,
}

impl QuantizedFile {
    /// The file of a base in `folder`, there or not. `None` when nothing would be quantized while the base is loaded, or
    /// when a part of it would not: where weights train.
    pub fn new(folder: &Path, config: &GlmConfig, weights: &WeightFolder, options: LoadOptions) -> Option<Self> {
        let slug = slug(options.scheme)?;
        if config.quantization_bit.is_some() || options.trains != Trains::Nothing {
            return None;
        }
        let names = Names::of(config.variant);
        let matrices = (0..config.num_layers).flat_map(|layer| {
            let name = move |module| format!("{}.weight", names.block(layer, module));
            layout::linears(config).map(|(module, shape, _)| (name(module), shape))
        });
        // One base in one place has one file for a scheme: when its floats change, the file is replaced and not left behind.
        let place = weights.path().canonicalize().unwrap_or_else(|_| weights.path().to_path_buf());
        let base = place.file_name().map_or("base".into(), |name| name.to_string_lossy());
        let name = format!("{base}-{slug}-{:016x}.safetensors", identity::hash(place.as_os_str().as_encoded_bytes()));
        Some(Self {
            path: folder.join(name),
            scheme: options.scheme,
            matrices: matrices.collect(),
            identity: Identity::of(weights, options.scheme),
        })
    }

    /// Where it is, or will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of its tensors.
    pub fn bytes(&self) -> u64 {
        self.tensors().iter().map(NewTensor::bytes).sum()
    }

    /// The tensors: of each matrix the integers, then the scales.
    fn tensors(&self) -> Vec<NewTensor> {
        self.matrices.iter().flat_map(|(name, shape)| layout_of(name, *shape, self.scheme)).collect()
    }
}

/// Short name of a scheme that quantizes.
fn slug(scheme: Scheme) -> Option<String> {
    match scheme {
        Scheme::Dense { .. } => None,
        Scheme::Int8 => Some("int8".into()),
        Scheme::Int4 => Some("int4".into()),
        Scheme::Int4Group { group } => Some(format!("int4-group{group}")),
    }
}

/// What a matrix is stored as.
fn layout_of(name: &str, [out, inner]: [usize; 2], scheme: Scheme) -> [NewTensor; 2] {
    use crate::weights::ElementType::{F16, I8};
    let (integers, scales) = match scheme {
        Scheme::Int4Group { group } => (vec![out, inner / 2], vec![out, inner / group.max(1)]),
        Scheme::Int4 => match InterleavedInt4::sizes([out, inner]) {
            Some(sizes) => (vec![sizes.len()], vec![out]),
            None => (vec![out, inner / 2], vec![out]),
        },
        Scheme::Int8 | Scheme::Dense { .. } => (vec![out, inner], vec![out]),
    };
    [
        NewTensor { name: name.to_owned(), dtype: I8, shape: integers },
        NewTensor { name: scale_name(name), dtype: F16, shape: scales },
    ]
}

fn scale_name(weight: &str) -> String {
    format!("{weight}_scale")
}

#[cfg(test)]
mod tests;
