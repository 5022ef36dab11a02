//! Grouped INT4: every `group` neighbouring columns of a row share an f16 scale.

use super::FrozenWeight;
use super::bytes::Bytes;
use super::packed::Packed;
use crate::weights::{ElementType, MappedPart, TensorBytes};
use glm_kernels::cpu::frozen::{Matrix, Values};
use glm_kernels::cpu::quantize;
use half::f16;
use rayon::prelude::*;

/// A grouped INT4 weight; packing as in the official INT4.
#[derive(Debug)]
pub struct Group4 {
    inner: usize,
    group: usize,
    packed: Bytes,
    /// Half precision, little-endian.
    scales: Bytes,
}

impl Group4 {
    /// Quantizes `[out, in]` floats.
    ///
    /// # Errors
    /// When `in` is not a multiple of `group`, `group` is not 32 or 64, or a value is not finite.
    pub fn quantize(tensor: &TensorBytes<'_>, group: usize) -> Result<Self, String> {
        if !matches!(group, 32 | 64) {
            return Err(format!("a group of {group} columns, expected 32 or 64"));
        }
        let &[out, inner] = tensor.shape.as_slice() else {
            return Err(format!("shape {:?}, expected two dimensions", tensor.shape));
        };
        if inner == 0 || inner % group != 0 {
            return Err(format!("{inner} columns, expected a multiple of the group width {group}"));
        }
        let groups = inner / group;
        let (mut packed, mut scales) = (Packed::zeroed(out * inner / 2), Packed::zeroed(out * groups * 2));
        let rows = packed.par_chunks_mut(inner / 2).zip(scales.par_chunks_mut(groups * 2)).enumerate();
        let results = rows.map(|(r, (packed, scales))| {
            let row = tensor
                .to_f32(r * inner..(r + 1) * inner)
                .ok_or_else(|| format!("its elements are {}, expected floats", tensor.dtype))?;
            if let Some(bad) = row.iter().find(|v| !f16::from_f32(**v / 8.0).is_finite()) {
                return Err(format!("row {r} holds {bad}, so it cannot be quantized"));
            }
            let (scales, _) = scales.as_chunks_mut();
            quantize::grouped_int4(&row, group, packed, scales);
            Ok(())
        });
        // All rows first, so that of several bad ones the error names the first, whichever thread was faster.
        results.collect::<Vec<_>>().into_iter().collect::<Result<(), String>>()?;
        Ok(Self { inner, group, packed: Bytes::Held(packed), scales: Bytes::Held(scales) })
    }

    /// Takes over packed integers `[out, in / 2]` and scales `[out, in / group]` in half precision; the integers stay in
    /// `file`, their place in their file, when that is given.
    ///
    /// # Errors
    /// When types or shapes are not these, or a scale is not finite.
    pub fn load(
        group: usize,
        weight: &TensorBytes<'_>,
        scale: &TensorBytes<'_>,
        file: Option<MappedPart>,
    ) -> Result<Self, String> {
        let (&[out, stride], &[rows, groups]) = (weight.shape.as_slice(), scale.shape.as_slice()) else {
            return Err(format!("shapes {:?} and {:?}, expected two dimensions each", weight.shape, scale.shape));
        };
        let types = (weight.dtype, scale.dtype);
        let inner = stride.checked_mul(2).filter(|inner| *inner > 0 && Some(*inner) == groups.checked_mul(group));
        let (Some(inner), true, (ElementType::I8 | ElementType::U8, ElementType::F16)) = (inner, out == rows, types)
        else {
            return Err(format!(
                "{} {:?} with scales in {} {:?}, expected bytes [out, in / 2] with scales in f16 [out, in / {group}]",
                types.0, weight.shape, types.1, scale.shape
            ));
        };
        let (scales, _) = scale.data.as_chunks();
        if let Some(at) = scales.iter().position(|s| !f16::from_le_bytes(*s).is_finite()) {
            return Err(format!("scale {at} is not finite"));
        }
        Ok(Self { inner, group, packed: Bytes::of(weight.data, file), scales: Bytes::of(scale.data, None) })
    }
}

impl FrozenWeight for Group4 {
    fn matrix(&self) -> Matrix<'_> {
        let values = Values::Int4Group { packed: &self.packed, scales: self.scales.as_chunks().0, group: self.group };
        Matrix { rows: self.packed.len() * 2 / self.inner, cols: self.inner, values, row_scales: None }
    }

    fn bytes(&self) -> usize {
        self.packed.len() + self.scales.len()
    }

    fn release(&self) {
        self.packed.release();
    }

    fn is_mapped(&self) -> bool {
        self.packed.is_mapped()
    }
}
