//! The two directions of a product with a frozen matrix.

use super::Matrix;

/// Which way the sum of a product goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Along {
    /// Over the columns of the matrix: `x Wᵀ`. Lanes are rows.
    Columns,
    /// Over its rows: `dy W`. Lanes are columns.
    Rows,
}

impl Along {
    /// Results of a token, and values of their sums.
    pub fn sizes(self, matrix: &Matrix<'_>) -> (usize, usize) {
        match self {
            Self::Columns => (matrix.rows, matrix.cols),
            Self::Rows => (matrix.cols, matrix.rows),
        }
    }

    /// Row scales that the left factor takes, value by value of the sum.
    pub fn scales_of_sum<'a>(self, matrix: &Matrix<'a>) -> Option<&'a [f32]> {
        matrix.row_scales.filter(|_| self == Self::Rows)
    }

    /// Row scale that a result takes.
    pub fn scale_of_lane(self, matrix: &Matrix<'_>, lane: usize) -> f32 {
        matrix.row_scales.filter(|_| self == Self::Columns).map_or(1.0, |scales| scales[lane])
    }
}
