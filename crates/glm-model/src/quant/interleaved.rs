//! The official INT4 with rows interleaved, as a product and its gradient read them best.

use super::bytes::Bytes;
use super::packed::Packed;
use super::{FrozenWeight, RowInt4};
use crate::weights::{ElementType, MappedPart, TensorBytes};
use glm_kernels::cpu::frozen::{Interleaved, Matrix, Packed as Integers, Values};
use std::sync::Arc;

/// Bytes of the scale of a row, which is kept widened only.
const SCALE: usize = size_of::<f32>();

/// Integers and scales of [`RowInt4`], arranged as [`Interleaved`] says. The official order is not kept beside it.
#[derive(Debug)]
pub struct InterleavedInt4 {
    inner: usize,
    sizes: Interleaved,
    packed: Bytes,
    scales: Vec<f32>,
}

impl InterleavedInt4 {
    /// `weight` interleaved, or as it is where that has no use.
    pub fn arrange(weight: RowInt4) -> Arc<dyn FrozenWeight> {
        let (out, inner) = weight.shape();
        let Some(sizes) = Self::sizes([out, inner]) else { return Arc::new(weight) };
        let (row_major, scales) = weight.into_parts();
        let mut packed = Packed::zeroed(sizes.len());
        sizes.fill(&row_major, &mut packed);
        Arc::new(Self { inner, sizes, packed: Bytes::Held(packed), scales })
    }

    /// Takes over what [`InterleavedInt4::arrange`] made of a matrix of so many rows and columns. The integers stay in `file`,
    /// their place in their file, when that is given.
    ///
    /// # Errors
    /// When types or sizes are not those, or a scale is not finite.
    pub fn load(
        [out, inner]: [usize; 2],
        weight: &TensorBytes<'_>,
        scale: &TensorBytes<'_>,
        file: Option<MappedPart>,
    ) -> Result<Arc<dyn FrozenWeight>, String> {
        let Some(sizes) = Self::sizes([out, inner]) else { return Ok(Arc::new(RowInt4::load(weight, scale, file)?)) };
        let fits = weight.dtype == ElementType::I8 && weight.data.len() == sizes.len() && scale.len() == out;
        let scales = scale.to_f32(0..scale.len()).filter(|scales| fits && scales.iter().all(|scale| scale.is_finite()));
        let scales = scales.ok_or_else(|| {
            format!(
                "{} {:?} with scales in {} {:?}, expected {} bytes with {out} finite scales",
                weight.dtype,
                weight.shape,
                scale.dtype,
                scale.shape,
                sizes.len()
            )
        })?;
        Ok(Arc::new(Self { inner, sizes, packed: Bytes::of(weight.data, file), scales }))
    }

    /// Sizes of a matrix `[out, in]`; `None` where rows are left as they are.
    pub fn sizes([out, inner]: [usize; 2]) -> Option<Interleaved> {
        Interleaved::of(out, inner / 2).filter(|_| inner.is_multiple_of(2))
    }

    /// Bytes of a matrix `[out, in]`; `None` where rows are left as they are.
    pub fn bytes_of(shape: [usize; 2]) -> Option<usize> {
        Self::sizes(shape).map(|sizes| sizes.len() + shape[0] * SCALE)
    }
}

impl FrozenWeight for InterleavedInt4 {
    fn matrix(&self) -> Matrix<'_> {
        let values = Values::Int4(Integers::interleaved(&self.packed, self.sizes));
        Matrix { rows: self.scales.len(), cols: self.inner, values, row_scales: Some(&self.scales) }
    }

    fn bytes(&self) -> usize {
        self.packed.len() + self.scales.len() * SCALE
    }

    fn release(&self) {
        self.packed.release();
    }

    fn is_mapped(&self) -> bool {
        self.packed.is_mapped()
    }
}
