//! The official symmetric schemes, bit for bit: per row `scale = max|w| / (2^(bits-1) - 1)` and `q = round(w / scale)`
//! (half to even), with the maximum, the division and the scale all in half precision. INT4 packs an even column into
//! the high half of a byte and the odd one after it into the low half, both two's complement.

use super::FrozenWeight;
use super::bytes::Bytes;
use super::packed::Packed;
use crate::weights::{ElementType, MappedPart, TensorBytes};
use glm_kernels::cpu::frozen::{Matrix, Packed as Integers, Values};
use glm_kernels::cpu::quantize;
use half::f16;
use rayon::prelude::*;

/// INT8, one byte a value.
pub type RowInt8 = RowScaled<1>;
/// INT4, two values a byte.
pub type RowInt4 = RowScaled<2>;

/// Small integers, `VALUES` of them in a byte, with one scale a row.
#[derive(Debug)]
pub struct RowScaled<const VALUES: usize> {
    inner: usize,
    packed: Bytes,
    half_scales: Vec<f16>,
    scales: Vec<f32>,
}

impl<const VALUES: usize> RowScaled<VALUES> {
    const LARGEST: f32 = if VALUES == 2 { 7.0 } else { 127.0 };

    fn new(inner: usize, packed: Bytes, half_scales: Vec<f16>) -> Self {
        let scales = half_scales.iter().map(|s| s.to_f32()).collect();
        Self { inner, packed, half_scales, scales }
    }

    /// Quantizes `[out, in]` floats; those that are not half precision are rounded to it first, as the official
    /// loader does.
    ///
    /// # Errors
    /// When `in` is odd (INT4) or a value is not finite in half precision.
    pub fn quantize(tensor: &TensorBytes<'_>) -> Result<Self, String> {
        let &[out, inner] = tensor.shape.as_slice() else {
            return Err(format!("shape {:?}, expected two dimensions", tensor.shape));
        };
        if inner == 0 || inner % VALUES != 0 {
            return Err(format!("{inner} columns, expected a multiple of {VALUES}"));
        }
        let stride = inner / VALUES;
        let mut packed = Packed::zeroed(out * stride);
        let scales = packed.par_chunks_mut(stride).enumerate().map(|(r, packed)| {
            let range = r * inner..(r + 1) * inner;
            let rounded;
            // Half precision is taken as it lies in the file.
            let row = if tensor.dtype == ElementType::F16 {
                &tensor.data.as_chunks().0[range]
            } else {
                let row = tensor.to_f16(range);
                let row = row.ok_or_else(|| format!("its elements are {}, expected floats", tensor.dtype))?;
                rounded = row.into_iter().map(f16::to_le_bytes).collect::<Vec<_>>();
                &rounded
            };
            Self::quantize_row(row, packed).map_err(|reason| format!("row {r}: {reason}"))
        });
        // All rows first, so that of several bad ones the error names the first, whichever thread was faster.
        let half_scales = scales.collect::<Vec<_>>().into_iter().collect::<Result<Vec<f16>, String>>()?;
        Ok(Self::new(inner, Bytes::Held(packed), half_scales))
    }

    fn quantize_row(row: &[[u8; 2]], packed: &mut [u8]) -> Result<f16, String> {
        let max = f16::from_bits(quantize::largest_magnitude(row));
        if !max.is_finite() {
            let bad = row.iter().map(|v| f16::from_le_bytes(*v)).find(|v| !v.is_finite()).unwrap_or(max);
            return Err(format!("holds {bad} in half precision, so it cannot be quantized"));
        }
        let scale = f16::from_f32(max.to_f32() / Self::LARGEST);
        // A row of zeros (or one whose scale rounds to 0) is 0/0 officially; zeros are what it means.
        if scale == f16::ZERO {
            packed.fill(0);
        } else if VALUES == 2 {
            quantize::int4(row, scale, packed);
        } else {
            quantize::int8(row, scale, packed);
        }
        Ok(scale)
    }

    /// Takes over stored integers and scales. The integers stay in `file`, their place in their file, when that is given.
    ///
    /// # Errors
    /// When types or shapes are not those of the official layout, or a scale is not finite.
    pub fn load(weight: &TensorBytes<'_>, scale: &TensorBytes<'_>, file: Option<MappedPart>) -> Result<Self, String> {
        let &[out, stride] = weight.shape.as_slice() else {
            return Err(format!("shape {:?}, expected two dimensions", weight.shape));
        };
        if !matches!(weight.dtype, ElementType::I8 | ElementType::U8) {
            return Err(format!("its elements are {}, expected i8", weight.dtype));
        }
        if scale.shape.iter().product::<usize>() != out || scale.len() != out {
            return Err(format!("weight_scale has shape {:?}, expected [{out}]", scale.shape));
        }
        let half_scales =
            scale.to_f16(0..out).ok_or_else(|| format!("weight_scale holds {}, expected floats", scale.dtype))?;
        if let Some(row) = half_scales.iter().position(|s| !s.is_finite()) {
            return Err(format!("weight_scale[{row}] is {}", half_scales[row]));
        }
        Ok(Self::new(stride * VALUES, Bytes::of(weight.data, file), half_scales))
    }

    /// The packed integers, as the official files hold them.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// The packed integers and the widened scales.
    pub(super) fn into_parts(self) -> (Bytes, Vec<f32>) {
        (self.packed, self.scales)
    }

    /// The scales, as the official files hold them.
    pub fn half_scales(&self) -> &[f16] {
        &self.half_scales
    }
}

impl<const VALUES: usize> FrozenWeight for RowScaled<VALUES> {
    fn matrix(&self) -> Matrix<'_> {
        let int4 = || Values::Int4(Integers::rows(&self.packed, self.inner / 2));
        let values = if VALUES == 2 { int4() } else { Values::Int8(&self.packed) };
        Matrix { rows: self.scales.len(), cols: self.inner, values, row_scales: Some(&self.scales) }
    }

    fn bytes(&self) -> usize {
        self.packed.len() + self.scales.len() * 6
    }

    fn release(&self) {
        self.packed.release();
    }

    fn is_mapped(&self) -> bool {
        self.packed.is_mapped()
    }
}
