#![allow(unsafe_code)]
//! Checked `f32` matrix product over strided views; the inner work is the `gemm` crate's.

/// A strided matrix inside a slice.
#[derive(Clone, Copy)]
pub struct View<'a> {
    data: &'a [f32],
    row_stride: usize,
    col_stride: usize,
}

impl<'a> View<'a> {
    /// Element `(r, c)` stands at `r * row_stride + c * col_stride`.
    pub fn new(data: &'a [f32], row_stride: usize, col_stride: usize) -> Self {
        Self { data, row_stride, col_stride }
    }

    /// A row-major matrix with `cols` columns.
    pub fn rows(data: &'a [f32], cols: usize) -> Self {
        Self::new(data, cols, 1)
    }

    /// The transposed view.
    pub fn t(self) -> Self {
        Self { data: self.data, row_stride: self.col_stride, col_stride: self.row_stride }
    }
}

fn last(rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> usize {
    (rows - 1) * row_stride + (cols - 1) * col_stride
}

/// `dst[m, n] = keep * dst + alpha * a[m, k] · b[k, n]`, on the calling thread; `dst` is row-major with `dst_stride`.
pub fn gemm(
    (m, n, k): (usize, usize, usize),
    dst: &mut [f32],
    dst_stride: usize,
    keep: bool,
    a: View<'_>,
    b: View<'_>,
    alpha: f32,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(n <= dst_stride || m == 1, "gemm: rows of the result overlap");
    assert!(last(m, n, dst_stride, 1) < dst.len(), "gemm: result too short");
    if k == 0 {
        if !keep {
            (0..m).for_each(|r| dst[r * dst_stride..r * dst_stride + n].fill(0.0));
        }
        return;
    }
    assert!(last(m, k, a.row_stride, a.col_stride) < a.data.len(), "gemm: left matrix too short");
    assert!(last(k, n, b.row_stride, b.col_stride) < b.data.len(), "gemm: right matrix too short");
    // SAFETY: the last element of each of the three matrices lies inside its slice (asserted above), strides are not
    // negative, and `dst` is borrowed mutably, so it overlaps neither input.
    unsafe { gemm_raw((m, n, k), dst.as_mut_ptr(), dst_stride, keep, a, b, alpha) }
}

/// As [`gemm`] with a raw destination, for callers that split the columns of one result between threads.
///
/// # Safety
/// `dst` must be valid for writes of every element `(r, c)`, `r < m`, `c < n`, at `r * dst_stride + c`, and no other
/// thread may touch those elements meanwhile; `a` and `b` must hold their last elements.
pub(crate) unsafe fn gemm_raw(
    (m, n, k): (usize, usize, usize),
    dst: *mut f32,
    dst_stride: usize,
    keep: bool,
    a: View<'_>,
    b: View<'_>,
    alpha: f32,
) {
    // SAFETY: passed on from the caller.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst,
            1,
            dst_stride as isize,
            keep,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0,
            alpha,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strided_product_with_accumulation() {
        let a = [1.0, 2.0, 9.0, 3.0, 4.0, 9.0]; // [2, 2] in rows of 3
        let b = [1.0, 3.0, 2.0, 4.0]; // [2, 2] transposed
        let mut dst = [1.0, 1.0, 7.0, 1.0, 1.0, 7.0];
        gemm((2, 2, 2), &mut dst, 3, true, View::new(&a, 3, 1), View::rows(&b, 2).t(), 2.0);
        assert_eq!(dst, [15.0, 21.0, 7.0, 31.0, 45.0, 7.0]);
    }
}
