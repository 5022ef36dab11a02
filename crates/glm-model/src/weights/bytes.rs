//! Raw tensor bytes and what they mean.

use half::{bf16, f16};

/// Element types that weights are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// 64-bit float.
    F64,
    /// 32-bit float.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    BF16,
    /// 64-bit integer.
    I64,
    /// 32-bit integer.
    I32,
    /// 16-bit integer.
    I16,
    /// 8-bit integer.
    I8,
    /// Bytes.
    U8,
    /// Truth values, one byte each.
    Bool,
}

impl ElementType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Rounds values to what it can hold; other types than floats hold them as they are.
    pub fn round(self, values: &mut [f32]) {
        match self {
            Self::F16 => values.iter_mut().for_each(|v| *v = f16::from_f32(*v).to_f32()),
            Self::BF16 => values.iter_mut().for_each(|v| *v = bf16::from_f32(*v).to_f32()),
            _ => {}
        }
    }

    /// Whether it is a floating-point type.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16)
    }
}

impl std::fmt::Display for ElementType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I16 => "i16",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::Bool => "bool",
        })
    }
}

/// A tensor inside a mapped file.
#[derive(Debug, Clone)]
pub struct TensorBytes<'a> {
    /// Element type.
    pub dtype: ElementType,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// Little-endian elements.
    pub data: &'a [u8],
}

impl TensorBytes<'_> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.data.len() / self.dtype.size()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Elements `range` as `f32`; `None` when the type is not a float.
    pub fn to_f32(&self, range: std::ops::Range<usize>) -> Option<Vec<f32>> {
        let size = self.dtype.size();
        let bytes = self.data.get(range.start * size..range.end * size)?;
        Some(match self.dtype {
            ElementType::F64 => decode::<8, _>(bytes, |b| f64::from_le_bytes(b) as f32),
            ElementType::F32 => decode::<4, _>(bytes, f32::from_le_bytes),
            ElementType::F16 => decode::<2, _>(bytes, |b| f16::from_le_bytes(b).to_f32()),
            ElementType::BF16 => decode::<2, _>(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            _ => return None,
        })
    }

    /// All elements as `f32`; `None` when the type is not a float.
    pub fn all_f32(&self) -> Option<Vec<f32>> {
        self.to_f32(0..self.len())
    }

    /// Elements `range` rounded to half precision; `None` when the type is not a float.
    pub fn to_f16(&self, range: std::ops::Range<usize>) -> Option<Vec<f16>> {
        if self.dtype == ElementType::F16 {
            let bytes = self.data.get(range.start * 2..range.end * 2)?;
            return Some(decode::<2, _>(bytes, f16::from_le_bytes));
        }
        Some(self.to_f32(range)?.into_iter().map(f16::from_f32).collect())
    }
}

fn decode<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|c| read(*c)).collect()
}
