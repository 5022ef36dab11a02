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
    Int8(Packed<'a>),
    /// Two a byte, the even column in the high half.
    Int4(Packed<'a>),
    /// As `Int4`, with a factor in half precision for every `group` neighbouring columns of a row.
    Int4Group {
        /// `[rows, cols / 2]`.
        packed: Packed<'a>,
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
    /// The bytes of floats.
    pub(super) fn floats<const N: usize>(&self, values: &'a [[u8; N]]) -> Packed<'a> {
        Packed::rows(values.as_flattened(), self.cols * N)
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
                Values::Int8(packed) => unpack_row(packed, row, cols.clone(), 1, unpack::int8, out),
                Values::Int4(packed) => unpack_row(packed, row, cols.clone(), 2, unpack::int4, out),
                Values::Int4Group { packed, scales, group } => {
                    unpack_row(packed, row, cols.clone(), 2, unpack::int4, out);
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
    /// When the rows are outside the matrix.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let of = |per_value: usize| rows.start * self.cols / per_value..rows.end * self.cols / per_value;
        let values = match self.values {
            Values::F32(values) => Values::F32(&values[of(1)]),
            Values::F16(values) => Values::F16(&values[of(1)]),
            Values::Bf16(values) => Values::Bf16(&values[of(1)]),
            Values::Int8(packed) => Values::Int8(packed.from_row(rows.start)),
            Values::Int4(packed) => Values::Int4(packed.from_row(rows.start)),
            Values::Int4Group { packed, scales, group } => {
                Values::Int4Group { packed: packed.from_row(rows.start), scales: &scales[of(group)], group }
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

/// Columns `cols` of a row by `unpack`, `per_byte` of them from a byte.
fn unpack_row(
    packed: Packed<'_>,
    row: usize,
    cols: Range<usize>,
    per_byte: usize,
    unpack: impl Fn(&[u8], &mut [f32]),
    out: &mut [f32],
) {
    let mut rest = out;
    for bytes in packed.pieces(row, cols.start / per_byte..cols.end / per_byte) {
        let (out, after) = rest.split_at_mut(bytes.len() * per_byte);
        unpack(bytes, out);
        rest = after;
    }
}
