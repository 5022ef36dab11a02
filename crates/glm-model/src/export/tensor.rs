//! One tensor on its way from a source into a file.

use crate::weights::{ElementType, TensorBytes, not_finite};
use half::{bf16, f16};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// Values that one thread converts before it asks for more.
const PART: usize = 1 << 16;

/// A float tensor of a source: bytes as they are stored, or values that were computed.
#[derive(Debug, Clone)]
pub struct SourceTensor<'a> {
    shape: Vec<usize>,
    kept_as: ElementType,
    values: Values<'a>,
}

#[derive(Debug, Clone)]
enum Values<'a> {
    Stored(&'a [u8]),
    Computed(Vec<f32>),
}

impl<'a> SourceTensor<'a> {
    /// A tensor as it lies in a file.
    pub fn stored(tensor: TensorBytes<'a>) -> Self {
        Self { shape: tensor.shape, kept_as: tensor.dtype, values: Values::Stored(tensor.data) }
    }

    /// A tensor that was computed in f32 and is kept as `kept_as` unless another type is asked for.
    pub fn computed(shape: Vec<usize>, kept_as: ElementType, values: Vec<f32>) -> Self {
        Self { shape, kept_as, values: Values::Computed(values) }
    }

    /// Shape, row-major.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The type that the source keeps it in.
    pub fn kept_as(&self) -> ElementType {
        self.kept_as
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All values as `f32`.
    ///
    /// # Errors
    /// A sentence, without the tensor's name, when the elements are no floats.
    pub fn into_f32(self) -> Result<Vec<f32>, String> {
        match self.values {
            Values::Computed(values) => Ok(values),
            Values::Stored(_) => Ok(self.part(0..self.len())?.into_owned()),
        }
    }

    /// The values of the elements `range`, which must be within the tensor.
    ///
    /// # Errors
    /// As [`SourceTensor::into_f32`].
    pub fn part(&self, range: Range<usize>) -> Result<Cow<'_, [f32]>, String> {
        match &self.values {
            Values::Computed(values) => Ok(Cow::Borrowed(&values[range])),
            Values::Stored(data) => {
                let bytes = TensorBytes { dtype: self.kept_as, shape: self.shape.clone(), data };
                let parts = range.clone().into_par_iter().step_by(PART);
                let parts: Option<Vec<Vec<f32>>> =
                    parts.map(|start| bytes.to_f32(start..range.end.min(start + PART))).collect();
                Ok(Cow::Owned(
                    parts.ok_or_else(|| format!("its elements are {}, expected floats", self.kept_as))?.concat(),
                ))
            }
        }
    }

    /// Little-endian elements of type `dtype`; no copy when they are stored so.
    ///
    /// # Errors
    /// A sentence, without the tensor's name, when a value is not finite or too large for `dtype`.
    pub fn encode(&self, dtype: ElementType) -> Result<Cow<'_, [u8]>, String> {
        self.encode_part(0..self.len(), dtype)
    }

    /// As [`SourceTensor::encode`], the elements `range` only.
    ///
    /// # Errors
    /// As [`SourceTensor::encode`].
    pub fn encode_part(&self, range: Range<usize>, dtype: ElementType) -> Result<Cow<'_, [u8]>, String> {
        let (first, size) = (range.start, dtype.size());
        let bytes = match self.values {
            Values::Stored(data) if self.kept_as == dtype => Cow::Borrowed(&data[range.start * size..range.end * size]),
            _ => Cow::Owned(encode(&self.part(range)?, dtype)?),
        };
        let tensor = TensorBytes { dtype, shape: vec![bytes.len() / size], data: &bytes };
        match not_finite(&tensor).first {
            None => Ok(bytes),
            Some(at) => {
                let value = tensor.to_f32(at..at + 1).map_or(f32::NAN, |v| v[0]);
                let hint = if dtype == ElementType::F16 {
                    "; half precision ends at 65504: export as bf16 or f32"
                } else {
                    ""
                };
                Err(format!("element {} is {value} as {dtype}{hint}", first + at))
            }
        }
    }
}

/// Little-endian elements of type `dtype`.
pub(super) fn encode(values: &[f32], dtype: ElementType) -> Result<Vec<u8>, String> {
    fn all<const N: usize>(values: &[f32], convert: impl Fn(f32) -> [u8; N] + Sync) -> Vec<u8> {
        let mut bytes = vec![0; values.len() * N];
        bytes.par_chunks_mut(PART * N).zip(values.par_chunks(PART)).for_each(|(bytes, values)| {
            let (bytes, _) = bytes.as_chunks_mut::<N>();
            bytes.iter_mut().zip(values).for_each(|(b, v)| *b = convert(*v));
        });
        bytes
    }
    match dtype {
        ElementType::F64 => Ok(all(values, |v| f64::from(v).to_le_bytes())),
        ElementType::F32 => Ok(all(values, f32::to_le_bytes)),
        ElementType::F16 => Ok(all(values, |v| f16::from_f32(v).to_le_bytes())),
        ElementType::BF16 => Ok(all(values, |v| bf16::from_f32(v).to_le_bytes())),
        other => Err(format!("floats cannot be kept as {other}")),
    }
}
