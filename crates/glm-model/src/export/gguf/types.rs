//! Element types of GGUF files and their blocks. Blocks are made and read by candle, whose layouts are ggml's.

use crate::export::tensor::encode;
use crate::export::verify::{largest, rounding};
use crate::weights::ElementType;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use rayon::prelude::*;

/// Values of a Q4_0 or Q8_0 block.
pub(super) const BLOCK: usize = 32;
/// Values that one thread quantizes before it asks for more.
const PART: usize = 1 << 16;

/// What the matrices of a GGUF file are kept as. Norms and biases are always f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GgufType {
    /// Half precision.
    F16,
    /// 8 bits a value, one scale for 32: 8.5 bits in all.
    Q8_0,
    /// 4 bits a value, one scale for 32: 4.5 bits in all. The output layer is kept as Q8_0.
    Q4_0,
}

impl GgufType {
    /// llama.cpp's number for files whose matrices are mostly of this type (`general.file_type`).
    pub(super) fn file_type(self) -> u32 {
        match self {
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q8_0 => 7,
        }
    }

    pub(super) fn tensor_type(self) -> TensorType {
        match self {
            Self::F16 => TensorType::F16,
            Self::Q8_0 => TensorType::Q8_0,
            Self::Q4_0 => TensorType::Q4_0,
        }
    }
}

impl std::fmt::Display for GgufType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
        })
    }
}

/// Type of one tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TensorType {
    F32,
    F16,
    Q4_0,
    Q8_0,
}

impl TensorType {
    /// ggml's number.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q8_0 => 8,
        }
    }

    pub(super) fn ggml(self) -> GgmlDType {
        match self {
            Self::F32 => GgmlDType::F32,
            Self::F16 => GgmlDType::F16,
            Self::Q4_0 => GgmlDType::Q4_0,
            Self::Q8_0 => GgmlDType::Q8_0,
        }
    }

    /// Bytes of `values` values.
    pub(super) fn bytes(self, values: usize) -> u64 {
        let ggml = self.ggml();
        values as u64 / ggml.block_size() as u64 * ggml.type_size() as u64
    }

    /// Little-endian elements or blocks.
    ///
    /// # Errors
    /// A sentence, without the tensor's name, when a value is not finite or too large for the type.
    pub(super) fn encode(self, values: &[f32]) -> Result<Vec<u8>, String> {
        // Scales are half precision: of 127 or 8 times that values may be.
        let most = match self {
            Self::F32 => f32::MAX,
            Self::F16 => 65504.0,
            Self::Q8_0 => 65504.0 * 127.0,
            Self::Q4_0 => 65504.0 * 8.0,
        };
        if let Some(at) = values.par_iter().position_first(|v| v.is_nan() || v.abs() > most) {
            return Err(format!("element {at} is {}, too large for its type in GGUF or no number", values[at]));
        }
        match self {
            Self::F32 => encode(values, ElementType::F32),
            Self::F16 => encode(values, ElementType::F16),
            Self::Q4_0 | Self::Q8_0 => {
                let part = |part: &[f32]| -> candle_core::Result<Vec<u8>> {
                    let tensor = Tensor::from_slice(part, part.len(), &Device::Cpu)?;
                    Ok(QTensor::quantize(&tensor, self.ggml())?.data()?.into_owned())
                };
                let parts: candle_core::Result<Vec<Vec<u8>>> = values.par_chunks(PART).map(part).collect();
                Ok(parts.map_err(|e| e.to_string())?.concat())
            }
        }
    }

    /// Values that share a scale.
    pub(super) fn block(self) -> usize {
        self.ggml().block_size()
    }

    /// Most that the values of a block move.
    pub(super) fn bound(self, block: &[f32]) -> f32 {
        let largest = largest(block);
        // The scale itself is rounded to half precision.
        let scale = |step: f32| step + largest / 1024.0 + 128.0 / 16_777_216.0;
        match self {
            Self::F32 => 0.0,
            Self::F16 => rounding(largest, ElementType::F16),
            Self::Q8_0 => scale(largest / 127.0 * 0.5),
            // Of the 16 steps, 8 lie on the side of the largest value and 7 on the other, where a whole step may be lost.
            Self::Q4_0 => scale(largest / 8.0),
        }
    }
}
