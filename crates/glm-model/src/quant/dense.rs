//! Weights kept as floats: f32, f16 or bf16.

use super::bytes::Bytes;
use super::{DenseType, FrozenWeight};
use crate::weights::MappedPart;
use glm_kernels::cpu::frozen::{Matrix, Values};

/// A dense weight, its elements as little-endian bytes.
#[derive(Debug)]
pub struct Dense {
    inner: usize,
    dtype: DenseType,
    bytes: Bytes,
}

impl Dense {
    /// `bytes` are those of `[out, inner]` elements of type `dtype`.
    ///
    /// # Panics
    /// When they are not those of whole rows.
    pub fn new(inner: usize, dtype: DenseType, bytes: Vec<u8>) -> Self {
        Self::of(inner, dtype, Bytes::Held(bytes.into()))
    }

    /// As [`Dense::new`], left in their file.
    ///
    /// # Panics
    /// As [`Dense::new`].
    pub fn mapped(inner: usize, dtype: DenseType, bytes: MappedPart) -> Self {
        Self::of(inner, dtype, Bytes::Mapped(bytes))
    }

    fn of(inner: usize, dtype: DenseType, bytes: Bytes) -> Self {
        let (dense, row) = (Self { inner, dtype, bytes }, inner * dtype.size());
        assert!(row > 0 && dense.bytes.len().is_multiple_of(row), "dense weight: not whole rows");
        dense
    }
}

impl FrozenWeight for Dense {
    fn matrix(&self) -> Matrix<'_> {
        let bytes: &[u8] = &self.bytes;
        let values = match self.dtype {
            DenseType::F32 => Values::F32(bytes.as_chunks().0),
            DenseType::F16 => Values::F16(bytes.as_chunks().0),
            DenseType::Bf16 => Values::Bf16(bytes.as_chunks().0),
        };
        Matrix { rows: bytes.len() / (self.inner * self.dtype.size()), cols: self.inner, values, row_scales: None }
    }

    fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn release(&self) {
        self.bytes.release();
    }

    fn is_mapped(&self) -> bool {
        self.bytes.is_mapped()
    }
}
