//! Frozen base weights in whatever form they are kept: one trait, one file a scheme.
//!
//! A frozen weight never gets a gradient of its own; it only passes the gradient of its output on to its input.

mod bytes;
mod dense;
mod group4;
mod interleaved;
mod official;
mod packed;

pub use dense::Dense;
pub use group4::Group4;
pub use interleaved::InterleavedInt4;
pub use official::{RowInt4, RowInt8, RowScaled};

use crate::weights::{ElementType, MappedPart, TensorBytes, not_finite};
pub use glm_kernels::cpu::frozen::Compute;
use glm_kernels::cpu::frozen::Matrix;
use half::{bf16, f16};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A weight `W [out, in]` that does not train.
pub trait FrozenWeight: Send + Sync + std::fmt::Debug {
    /// The packed form, for the kernels.
    fn matrix(&self) -> Matrix<'_>;

    /// Bytes that it occupies, in memory or, where it is used from there, in its file.
    fn bytes(&self) -> usize;

    /// Says that it is not used again soon: what lies in a file need not stay in memory.
    fn release(&self) {}

    /// Whether it lies in a file, so that its memory can be had back.
    fn is_mapped(&self) -> bool {
        false
    }

    /// `(out, in)`.
    fn shape(&self) -> (usize, usize) {
        let matrix = self.matrix();
        (matrix.rows, matrix.cols)
    }

    /// Row `index` as `f32`, `[in]`.
    fn row(&self, index: usize, out: &mut [f32]) {
        self.matrix().row(index, out);
    }
}

/// A frozen weight, and in which numbers products with it are made.
#[derive(Debug, Clone)]
pub struct Frozen {
    /// The weight.
    pub weight: Arc<dyn FrozenWeight>,
    /// The numbers.
    pub compute: Compute,
}

/// How the linear layers of the blocks are kept. Embeddings, norms and biases always stay dense, and so does the output
/// layer unless another form is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "scheme", deny_unknown_fields)]
pub enum Scheme {
    /// As stored (f16, bf16 or f32), or converted to the named type.
    Dense {
        /// Type to convert to; `None`: as stored.
        dtype: Option<DenseType>,
    },
    /// The official INT8: one scale a row.
    Int8,
    /// The official INT4: one scale a row.
    Int4,
    /// INT4 with one f16 scale for every `group` neighbouring columns.
    Int4Group {
        /// Columns that share a scale: 32 or 64.
        group: usize,
    },
}

/// Types of dense weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DenseType {
    /// 32-bit float.
    F32,
    /// bfloat16.
    Bf16,
    /// IEEE half precision.
    F16,
}

impl DenseType {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dense { dtype: None } => f.write_str("as stored"),
            Self::Dense { dtype: Some(DenseType::F32) } => f.write_str("f32"),
            Self::Dense { dtype: Some(DenseType::Bf16) } => f.write_str("bf16"),
            Self::Dense { dtype: Some(DenseType::F16) } => f.write_str("f16"),
            Self::Int8 => f.write_str("INT8 (official, one scale a row)"),
            Self::Int4 => f.write_str("INT4 (official, one scale a row)"),
            Self::Int4Group { group } => write!(f, "INT4 (one scale for {group} columns)"),
        }
    }
}

impl Scheme {
    /// Makes the frozen form of a dense tensor `[out, in]`. Floats that are kept as stored stay in `file`, the tensor's place
    /// in its file, when that is given; a copy is made otherwise.
    ///
    /// # Errors
    /// A sentence, without the tensor's name, when the values or the shape do not allow the scheme.
    pub fn freeze(self, tensor: &TensorBytes<'_>, file: Option<MappedPart>) -> Result<Arc<dyn FrozenWeight>, String> {
        if !tensor.dtype.is_float() {
            return Err(format!("its elements are {}, expected floats", tensor.dtype));
        }
        if matches!(self, Self::Dense { .. })
            && let Some(at) = not_finite(tensor).first
        {
            let value = tensor.to_f32(at..at + 1).map_or(f32::NAN, |v| v[0]);
            return Err(format!("element {at} is {value}; the file is damaged"));
        }
        self.freeze_known(tensor, file)
    }

    /// As [`Scheme::freeze`], of values that were found to be finite before: floats that stay in their file are not read.
    ///
    /// # Errors
    /// As [`Scheme::freeze`].
    pub fn freeze_known(
        self,
        tensor: &TensorBytes<'_>,
        file: Option<MappedPart>,
    ) -> Result<Arc<dyn FrozenWeight>, String> {
        if !tensor.dtype.is_float() {
            return Err(format!("its elements are {}, expected floats", tensor.dtype));
        }
        Ok(match self {
            Self::Dense { dtype } => dense(tensor, dtype, file),
            Self::Int8 => Arc::new(RowInt8::quantize(tensor)?),
            Self::Int4 => InterleavedInt4::arrange(RowInt4::quantize(tensor)?),
            Self::Int4Group { group } => Arc::new(Group4::quantize(tensor, group)?),
        })
    }
}

impl Scheme {
    /// The scheme of weights that are stored with `bits` (`quantization_bit` of their `config.json`) when `self` is asked
    /// for: they keep their own form, which a request for floats allows and one for another scheme contradicts.
    ///
    /// # Errors
    /// A sentence, without the folder's name, when the two contradict each other.
    pub fn over_stored(self, bits: u8) -> Result<Self, String> {
        let stored = if bits == 4 { Self::Int4 } else { Self::Int8 };
        match self {
            Self::Dense { .. } => Ok(stored),
            asked if asked == stored => Ok(stored),
            asked => Err(format!(
                "is stored in INT{bits} already (quantization_bit in its config.json), so it cannot become {asked}; \
                 leave the flag out, or use the unquantized folder"
            )),
        }
    }

    /// The type that floats are converted to; `None`: as stored.
    pub fn dense_type(self) -> Option<DenseType> {
        match self {
            Self::Dense { dtype } => dtype,
            _ => None,
        }
    }

    /// Bytes in memory of a linear layer's weight `[out, in]` that is stored with `stored_bytes` an element.
    pub fn bytes(self, shape: [usize; 2], stored_bytes: usize) -> u64 {
        let [out, inner] = shape;
        let (out, values) = (out as u64, out as u64 * inner as u64);
        // One scale a row is kept in half precision, as stored, and widened.
        const ROW_SCALE: u64 = 6;
        match self {
            Self::Dense { dtype: None } => values * stored_bytes as u64,
            Self::Dense { dtype: Some(DenseType::F32) } => values * 4,
            Self::Dense { dtype: Some(DenseType::F16 | DenseType::Bf16) } => values * 2,
            Self::Int8 => values + out * ROW_SCALE,
            Self::Int4 => InterleavedInt4::bytes_of(shape).map_or(values / 2 + out * ROW_SCALE, |bytes| bytes as u64),
            Self::Int4Group { group } => values / 2 + values / group.max(1) as u64 * 2,
        }
    }
}

/// A dense tensor in its own type or in `dtype`. The caller has checked that it holds floats.
fn dense(tensor: &TensorBytes<'_>, dtype: Option<DenseType>, file: Option<MappedPart>) -> Arc<dyn FrozenWeight> {
    let stored = match tensor.dtype {
        ElementType::F16 => DenseType::F16,
        ElementType::BF16 => DenseType::Bf16,
        _ => DenseType::F32,
    };
    let inner = tensor.shape.last().copied().unwrap_or(1);
    let dtype = dtype.unwrap_or(stored);
    // An f64 is stored as nothing that is kept, so it is converted like the others.
    let as_stored = dtype == stored && tensor.dtype.size() == dtype.size();
    if let Some(file) = file.filter(|_| as_stored) {
        return Arc::new(Dense::mapped(inner, dtype, file));
    }
    let bytes = match dtype {
        _ if as_stored => tensor.data.to_vec(),
        DenseType::F16 => converted(tensor, |v| f16::from_f32(v).to_le_bytes()),
        DenseType::Bf16 => converted(tensor, |v| bf16::from_f32(v).to_le_bytes()),
        DenseType::F32 => converted(tensor, f32::to_le_bytes),
    };
    Arc::new(Dense::new(inner, dtype, bytes))
}

/// The values of a float tensor, each converted, a part at a time: beside the result no whole copy is ever in memory.
fn converted<const N: usize>(tensor: &TensorBytes<'_>, convert: impl Fn(f32) -> [u8; N]) -> Vec<u8> {
    const PART: usize = 1 << 20;
    let mut values = Vec::with_capacity(tensor.len() * N);
    for first in (0..tensor.len()).step_by(PART) {
        let part = tensor.to_f32(first..tensor.len().min(first + PART));
        let part = part.expect("the caller checked that the elements are floats");
        values.extend(part.into_iter().flat_map(&convert));
    }
    values
}

/// Rebuilds a weight of the official quantized layout from `weight` and `weight_scale`. The integers stay in `file`, their
/// place in their file, when that is given; a copy is made otherwise.
///
/// # Errors
/// A sentence, without the tensor's name, when types or shapes do not belong to that layout.
pub fn load_official(
    bits: u8,
    weight: &TensorBytes<'_>,
    scale: &TensorBytes<'_>,
    file: Option<MappedPart>,
) -> Result<Arc<dyn FrozenWeight>, String> {
    match bits {
        8 => Ok(Arc::new(RowInt8::load(weight, scale, file)?)),
        4 => Ok(Arc::new(RowInt4::load(weight, scale, file)?)),
        _ => Err(format!("quantization_bit is {bits}, expected 4 or 8")),
    }
}

#[cfg(test)]
mod tests;
