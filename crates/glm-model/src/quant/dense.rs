//! Weights kept as floats: f32, f16 or bf16; products are always in f32.

use super::FrozenWeight;
use glm_kernels::cpu::frozen::Blocks;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use std::ops::Range;

/// A dense weight of one element type.
#[derive(Debug)]
pub struct Dense<E> {
    inner: usize,
    values: Vec<E>,
}

impl<E> Dense<E> {
    /// `values` is `[out, inner]`.
    ///
    /// # Panics
    /// When `values` does not hold whole rows.
    pub fn new(inner: usize, values: Vec<E>) -> Self {
        assert!(inner > 0 && values.len().is_multiple_of(inner), "dense weight: not whole rows");
        Self { inner, values }
    }
}

/// Element types of [`Dense`].
pub trait Element: Send + Sync + std::fmt::Debug + Sized {
    /// Widens a run of values.
    fn widen(values: &[Self], out: &mut [f32]);
}

impl Element for f32 {
    fn widen(values: &[Self], out: &mut [f32]) {
        out.copy_from_slice(values);
    }
}

impl Element for f16 {
    fn widen(values: &[Self], out: &mut [f32]) {
        values.convert_to_f32_slice(out);
    }
}

impl Element for bf16 {
    fn widen(values: &[Self], out: &mut [f32]) {
        out.iter_mut().zip(values).for_each(|(o, v)| *o = f32::from_bits(u32::from(v.to_bits()) << 16));
    }
}

impl<E: Element> Blocks for Dense<E> {
    fn shape(&self) -> (usize, usize) {
        (self.values.len() / self.inner, self.inner)
    }

    fn column_step(&self) -> usize {
        1
    }

    fn unpack(&self, rows: Range<usize>, cols: Range<usize>, out: &mut [f32]) {
        for (r, out) in rows.zip(out.chunks_exact_mut(cols.len())) {
            E::widen(&self.values[r * self.inner + cols.start..r * self.inner + cols.end], out);
        }
    }

    fn row_scales(&self) -> Option<&[f32]> {
        None
    }
}

impl<E: Element> FrozenWeight for Dense<E> {
    fn blocks(&self) -> &dyn Blocks {
        self
    }

    fn bytes(&self) -> usize {
        size_of_val(self.values.as_slice())
    }
}
