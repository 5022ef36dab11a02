//! Grouped INT4: every `group` neighbouring columns of a row share an f16 scale. The scale is the one among a few
//! candidates (largest magnitude over 8 … 6.5, either sign) with the least squared error, so that −8 is used too.

use super::FrozenWeight;
use super::packed::Packed;
use crate::weights::TensorBytes;
use glm_kernels::cpu::frozen::{Matrix, Values};
use half::f16;
use rayon::prelude::*;

/// A grouped INT4 weight; packing as in the official INT4.
#[derive(Debug)]
pub struct Group4 {
    inner: usize,
    group: usize,
    packed: Packed,
    /// Half precision, little-endian.
    scales: Vec<[u8; 2]>,
}

/// Divisors tried for the value of largest magnitude; −8 is the most negative integer, 7 the most positive.
const DIVISORS: [f32; 7] = [-8.0, -7.75, -7.5, -7.25, -7.0, 7.0, 6.5];

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
        let (mut packed, mut scales) = (Packed::zeroed(out * inner / 2), vec![[0; 2]; out * groups]);
        let rows = packed.par_chunks_mut(inner / 2).zip(scales.par_chunks_mut(groups)).enumerate();
        rows.try_for_each(|(r, (packed, scales))| {
            let row = tensor
                .to_f32(r * inner..(r + 1) * inner)
                .ok_or_else(|| format!("its elements are {}, expected floats", tensor.dtype))?;
            if let Some(bad) = row.iter().find(|v| !v.is_finite()) {
                return Err(format!("row {r} holds {bad}, so it cannot be quantized"));
            }
            for ((values, packed), scale) in row.chunks_exact(group).zip(packed.chunks_exact_mut(group / 2)).zip(scales)
            {
                *scale = quantize_group(values, packed).to_le_bytes();
            }
            Ok(())
        })?;
        Ok(Self { inner, group, packed, scales })
    }
}

fn quantized(value: f32, scale: f32) -> i8 {
    if scale == 0.0 { 0 } else { (value / scale).round_ties_even().clamp(-8.0, 7.0) as i8 }
}

fn quantize_group(values: &[f32], packed: &mut [u8]) -> f16 {
    let largest = values.iter().copied().fold(0.0f32, |a, b| if b.abs() > a.abs() { b } else { a });
    let error = |scale: f16| -> f32 {
        let scale = scale.to_f32();
        values.iter().map(|v| (v - f32::from(quantized(*v, scale)) * scale).powi(2)).sum()
    };
    let candidates = DIVISORS.map(|divisor| f16::from_f32(largest / divisor));
    let best = candidates.into_iter().min_by(|a, b| error(*a).total_cmp(&error(*b))).unwrap_or(f16::ZERO);
    let (pairs, _) = values.as_chunks::<2>();
    for (byte, [even, odd]) in packed.iter_mut().zip(pairs) {
        let scale = best.to_f32();
        *byte = ((quantized(*even, scale) as u8) << 4) | (quantized(*odd, scale) as u8 & 15);
    }
    best
}

impl FrozenWeight for Group4 {
    fn matrix(&self) -> Matrix<'_> {
        let values = Values::Int4Group { packed: &self.packed, scales: &self.scales, group: self.group };
        Matrix { rows: self.packed.len() * 2 / self.inner, cols: self.inner, values, row_scales: None }
    }

    fn bytes(&self) -> usize {
        self.packed.len() + self.scales.len() * 2
    }
}
