#![allow(unsafe_code)]
//! The innermost loop: a tile of at most [`MOST_ROWS`](super::left::MOST_ROWS) rows and [`LANES`] columns stays in registers while
//! pairs of both matrices stream by.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_add_ps, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps,
    _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
};

/// Columns of a tile: two vectors of 16.
pub(super) const LANES: usize = 32;

/// What becomes of the sums of a tile.
#[derive(Clone, Copy, Default)]
pub(super) struct Finish {
    /// Whether the sums are added to what stands in the result.
    pub add: bool,
    /// Factor of every column of the tile, `[LANES]`.
    pub scales: Option<[f32; LANES]>,
    /// Added to every column of the tile, `[LANES]`, after the factor.
    pub bias: Option<[f32; LANES]>,
}

/// A tile of the result: element `(r, c)` at `first + r * stride + c`.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub first: *mut f32,
    pub stride: usize,
}

/// `rows` rows of sums over `left [pairs][rows]` and `panel [pairs][LANES]`.
///
/// # Safety
/// The machine has AVX-512 F, BW, VL and BF16; all `rows` × [`LANES`] elements of `target` may be written.
pub(super) unsafe fn tile(rows: usize, left: &[u32], panel: &[u32], finish: &Finish, target: Target) {
    let pairs = panel.len() / LANES;
    assert!(left.len() >= pairs * rows, "tile: left block too short");
    // SAFETY: the lengths that the loop relies on are asserted above; the rest is passed on from the caller.
    unsafe {
        match rows {
            1 => sums::<1>(pairs, left, panel, finish, target),
            2 => sums::<2>(pairs, left, panel, finish, target),
            3 => sums::<3>(pairs, left, panel, finish, target),
            4 => sums::<4>(pairs, left, panel, finish, target),
            5 => sums::<5>(pairs, left, panel, finish, target),
            6 => sums::<6>(pairs, left, panel, finish, target),
            7 => sums::<7>(pairs, left, panel, finish, target),
            8 => sums::<8>(pairs, left, panel, finish, target),
            9 => sums::<9>(pairs, left, panel, finish, target),
            10 => sums::<10>(pairs, left, panel, finish, target),
            11 => sums::<11>(pairs, left, panel, finish, target),
            12 => sums::<12>(pairs, left, panel, finish, target),
            13 => sums::<13>(pairs, left, panel, finish, target),
            14 => sums::<14>(pairs, left, panel, finish, target),
            _ => unreachable!("a tile has 1 to 14 rows"),
        }
    }
}

#[inline(always)]
fn pairs_of(bits: __m512i) -> __m512bh {
    // SAFETY: both are 64 bytes without a meaning of their own.
    unsafe { std::mem::transmute(bits) }
}

/// [`tile`] of a number of rows that the compiler knows.
///
/// # Safety
/// As [`tile`], and `left` and `panel` hold `pairs` groups.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn sums<const ROWS: usize>(pairs: usize, left: &[u32], panel: &[u32], finish: &Finish, target: Target) {
    let mut sums: [[__m512; 2]; ROWS] = [[_mm512_setzero_ps(); 2]; ROWS];
    let (mut left, mut panel) = (left.as_ptr(), panel.as_ptr());
    for _ in 0..pairs {
        // SAFETY: `pairs` groups of ROWS and of LANES values are there; the caller asserted it.
        let (low, high) = unsafe { (_mm512_loadu_si512(panel.cast()), _mm512_loadu_si512(panel.add(16).cast())) };
        let (low, high) = (pairs_of(low), pairs_of(high));
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: as above.
            let x = pairs_of(_mm512_set1_epi32(unsafe { *left.add(r) } as i32));
            sums[0] = _mm512_dpbf16_ps(sums[0], x, low);
            sums[1] = _mm512_dpbf16_ps(sums[1], x, high);
        }
        // SAFETY: at most one behind the end.
        unsafe {
            left = left.add(ROWS);
            panel = panel.add(LANES);
        }
    }
    for (half, offset) in [(0, 0), (1, 16)] {
        // SAFETY: the arrays hold LANES values.
        let load = |values: &[f32; LANES]| unsafe { _mm512_loadu_ps(values.as_ptr().add(offset)) };
        let (scales, bias) = (finish.scales.as_ref().map(load), finish.bias.as_ref().map(load));
        for (r, sums) in sums.iter().enumerate() {
            // SAFETY: the caller vouches for the target.
            unsafe {
                let at = target.first.add(r * target.stride + offset);
                let mut v = sums[half];
                if finish.add {
                    v = _mm512_add_ps(v, _mm512_loadu_ps(at));
                }
                if let Some(scales) = scales {
                    v = _mm512_mul_ps(v, scales);
                }
                if let Some(bias) = bias {
                    v = _mm512_add_ps(v, bias);
                }
                _mm512_storeu_ps(at, v);
            }
        }
    }
}
