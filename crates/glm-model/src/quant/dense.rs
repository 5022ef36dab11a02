//! Weights kept as floats: f32, f16 or bf16.

use super::{DenseType, FrozenWeight};
use glm_kernels::cpu::frozen::{Matrix, Values};

/// A dense weight, its elements as little-endian bytes.
#[derive(Debug)]
pub struct Dense {
    inner: usize,
    dtype: DenseType,
    bytes: Vec<u8>,
}

impl Dense {
    /// `bytes` are those of `[out, inner]` elements of type `dtype`.
    ///
    /// # Panics
    /// When they are not those of whole rows.
    pub fn new(inner: usize, dtype: DenseType, bytes: Vec<u8>) -> Self {
        let row = inner * dtype.size();
        assert!(row > 0 && bytes.len().is_multiple_of(row), "dense weight: not whole rows");
        Self { inner, dtype, bytes }
    }
}

impl FrozenWeight for Dense {
    fn matrix(&self) -> Matrix<'_> {
        let values = match self.dtype {
            DenseType::F32 => Values::F32(self.bytes.as_chunks().0),
            DenseType::F16 => Values::F16(self.bytes.as_chunks().0),
            DenseType::Bf16 => Values::Bf16(self.bytes.as_chunks().0),
        };
        let rows = self.bytes.len() / (self.inner * self.dtype.size());
        Matrix { rows, cols: self.inner, values, row_scales: None }
    }

    fn bytes(&self) -> usize {
        self.bytes.len()
    }
}
