//! A frozen matrix as it lies in memory, and its values as `f32`.

use super::Packed;
use crate::cpu::unpack;
use std::ops::Range;

/// Elements of a [`Matrix`]. Floats are row-major and little-endian bytes, so that they may lie anywhere in a mapped file.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// 32-bit floats.
    F32(&'a [[u8; 4]]),
    /// IEEE half precision.
    F16(&'a [[u8; 2]]),
    /// bfloat16.
    Bf16(&'a [[u8; 2]]),
    /// One two's complement integer a byte.
    Int8(&'a [u8]),
    /// Two a byte, the even column in the high half; rows may be interleaved.
    Int4(Packed<'a>),
    /// As `Int4`, with a factor in half precision for every `group` neighbouring columns of a row.
    Int4Group {
        /// `[rows, cols / 2]`.
        packed: &'a [u8],
        /// `[rows, cols / group]`.
        scales: &'a [[u8; 2]],
        /// Columns that share a factor.
        group: usize,
    },
}

impl Values<'_> {
    /// Whether they are integers times the factor of their row, which bfloat16 holds exactly.
    pub fn are_integers(&self) -> bool {
        matches!(self, Self::Int8(_) | Self::Int4(_))
    }
}

/// A frozen matrix `[rows, cols]`.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// Outputs of the layer.
    pub rows: usize,
    /// Inputs of the layer.
    pub cols: usize,
    /// Elements.
    pub values: Values<'a>,
    /// Factor of every row, `[rows]`.
    pub row_scales: Option<&'a [f32]>,
}

impl<'a> Matrix<'a> {
    /// The bytes of the elements.
    pub(super) fn bytes(&self) -> Packed<'a> {
        let rows = |bytes: &'a [u8], bits: usize| Packed::rows(bytes, self.cols * bits / 8);
        match self.values {
            Values::F32(values) => rows(values.as_flattened(), 32),
            Values::F16(values) | Values::Bf16(values) => rows(values.as_flattened(), 16),
            Values::Int8(values) => rows(values, 8),
            Values::Int4(packed) => packed,
            Values::Int4Group { packed, .. } => rows(packed, 4),
        }
    }

    /// Bits of an element.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn bits(&self) -> usize {
        match self.values {
            Values::F32(_) => 32,
            Values::F16(_) | Values::Bf16(_) => 16,
            Values::Int8(_) => 8,
            Values::Int4(_) | Values::Int4Group { .. } => 4,
        }
    }

    /// Columns at which a block of [`Matrix::unpack`] may begin or end are multiples of this.
    pub fn column_step(&self) -> usize {
        match self.values {
            Values::F32(_) | Values::F16(_) | Values::Bf16(_) | Values::Int8(_) => 1,
            Values::Int4(_) => 2,
            Values::Int4Group { group, .. } => group,
        }
    }

    /// Writes the block `[rows, cols]` row-major into `out`, without the row scales.
    pub fn unpack(&self, rows: Range<usize>, cols: Range<usize>, out: &mut [f32]) {
        for (row, out) in rows.zip(out.chunks_exact_mut(cols.len().max(1))) {
            let of =
                |per_value: usize| (row * self.cols + cols.start) / per_value..(row * self.cols + cols.end) / per_value;
            match self.values {
                Values::F32(values) => {
                    out.iter_mut().zip(&values[of(1)]).for_each(|(o, v)| *o = f32::from_le_bytes(*v));
                }
                Values::F16(values) => unpack::f16(&values[of(1)], out),
                Values::Bf16(values) => unpack::bf16(&values[of(1)], out),
                Values::Int8(values) => unpack::int8(&values[of(1)], out),
                Values::Int4(packed) => {
                    let mut rest = &mut *out;
                    for bytes in packed.pieces(row, cols.start / 2..cols.end / 2) {
                        let (out, after) = rest.split_at_mut(bytes.len() * 2);
                        unpack::int4(bytes, out);
                        rest = after;
                    }
                }
                Values::Int4Group { packed, scales, group } => {
                    unpack::int4(&packed[of(2)], out);
                    for (values, scale) in out.chunks_mut(group).zip(&scales[of(group)]) {
                        let scale = half::f16::from_le_bytes(*scale).to_f32();
                        values.iter_mut().for_each(|v| *v *= scale);
                    }
                }
            }
        }
    }

    /// The matrix of some of its rows. `cols` is even for INT4, a multiple of the group for groups.
    ///
    /// # Panics
    /// When the rows are outside the matrix, or begin among rows that are interleaved, which a multiple of 32 never does.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "slice: rows outside the matrix");
        let of = |per_value: usize| rows.start * self.cols / per_value..rows.end * self.cols / per_value;
        let values = match self.values {
            Values::F32(values) => Values::F32(&values[of(1)]),
            Values::F16(values) => Values::F16(&values[of(1)]),
            Values::Bf16(values) => Values::Bf16(&values[of(1)]),
            Values::Int8(values) => Values::Int8(&values[of(1)]),
            Values::Int4(packed) => Values::Int4(packed.from_row(rows.start)),
            Values::Int4Group { packed, scales, group } => {
                Values::Int4Group { packed: &packed[of(2)], scales: &scales[of(group)], group }
            }
        };
        let row_scales = self.row_scales.map(|scales| &scales[rows.clone()]);
        Self { rows: rows.len(), values, row_scales, ..*self }
    }

    /// Row `row` with its scale, `[cols]`.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        self.unpack(row..row + 1, 0..self.cols, out);
        if let Some(scales) = self.row_scales {
            out.iter_mut().for_each(|v| *v *= scales[row]);
        }
    }
}
