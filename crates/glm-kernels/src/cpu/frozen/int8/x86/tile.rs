//! The innermost loop: a tile of at most [`MOST_ROWS`] rows and [`LANES`] columns of integer sums stays in registers while
//! fours of both matrices stream by.

use std::arch::x86_64::{
    __m512i, _mm512_add_ps, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_storeu_ps,
};

/// Columns of a tile: two vectors of 16.
pub(super) const LANES: usize = 32;

/// Most rows of a tile: with two vectors of columns their sums take 28 of the 32 registers.
pub(super) const MOST_ROWS: usize = 14;

/// What becomes of the sums of a tile.
#[derive(Clone, Copy)]
pub(super) struct Finish<'a> {
    /// What the sums of every row begin with.
    pub starts: &'a [i32],
    /// Factor of every row.
    pub steps: &'a [f32],
    /// Factor of every column of the tile.
    pub scales: &'a [f32; LANES],
    /// Whether the result is added to what stands there.
    pub add: bool,
    /// Added to every column of the tile at the end.
    pub bias: Option<[f32; LANES]>,
}

/// A tile of the result: element `(r, c)` at `first + r * stride + c`.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub first: *mut f32,
    pub stride: usize,
}

/// `rows` rows of sums over `left [fours][rows]`, signed, and `panel [fours][LANES]`, unsigned.
///
/// # Safety
/// The machine has AVX-512 F and VNNI; all `rows` × [`LANES`] elements of `target` may be written.
pub(super) unsafe fn tile(rows: usize, left: &[u32], panel: &[u32], finish: &Finish<'_>, target: Target) {
    let fours = panel.len() / LANES;
    assert!(left.len() >= fours * rows, "tile: left block too short");
    assert!(finish.starts.len() >= rows && finish.steps.len() >= rows, "tile: too few factors");
    // SAFETY: the lengths that the loop relies on are asserted above; the rest is passed on from the caller.
    unsafe {
        match rows {
            1 => sums::<1>(fours, left, panel, finish, target),
            2 => sums::<2>(fours, left, panel, finish, target),
            3 => sums::<3>(fours, left, panel, finish, target),
            4 => sums::<4>(fours, left, panel, finish, target),
            5 => sums::<5>(fours, left, panel, finish, target),
            6 => sums::<6>(fours, left, panel, finish, target),
            7 => sums::<7>(fours, left, panel, finish, target),
            8 => sums::<8>(fours, left, panel, finish, target),
            9 => sums::<9>(fours, left, panel, finish, target),
            10 => sums::<10>(fours, left, panel, finish, target),
            11 => sums::<11>(fours, left, panel, finish, target),
            12 => sums::<12>(fours, left, panel, finish, target),
            13 => sums::<13>(fours, left, panel, finish, target),
            14 => sums::<14>(fours, left, panel, finish, target),
            _ => unreachable!("a tile has 1 to 14 rows"),
        }
    }
}

/// [`tile`] of a number of rows that the compiler knows.
///
/// # Safety
/// As [`tile`], and `left`, `panel` and the factors are long enough.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn sums<const ROWS: usize>(fours: usize, left: &[u32], panel: &[u32], finish: &Finish<'_>, target: Target) {
    let mut sums: [[__m512i; 2]; ROWS] = std::array::from_fn(|r| [_mm512_set1_epi32(finish.starts[r]); 2]);
    let (mut left, mut panel) = (left.as_ptr(), panel.as_ptr());
    for _ in 0..fours {
        // SAFETY: `fours` groups of ROWS and of LANES values are there; the caller asserted it.
        let (low, high) = unsafe { (_mm512_loadu_si512(panel.cast()), _mm512_loadu_si512(panel.add(16).cast())) };
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: as above.
            let x = _mm512_set1_epi32(unsafe { *left.add(r) } as i32);
            sums[0] = _mm512_dpbusd_epi32(sums[0], low, x);
            sums[1] = _mm512_dpbusd_epi32(sums[1], high, x);
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
        let (scales, bias) = (load(finish.scales), finish.bias.as_ref().map(load));
        for (r, sums) in sums.iter().enumerate() {
            // SAFETY: the caller vouches for the target.
            unsafe {
                let at = target.first.add(r * target.stride + offset);
                let v = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[half]), _mm512_set1_ps(finish.steps[r]));
                let mut v = _mm512_mul_ps(v, scales);
                if finish.add {
                    v = _mm512_add_ps(v, _mm512_loadu_ps(at));
                }
                if let Some(bias) = bias {
                    v = _mm512_add_ps(v, bias);
                }
                _mm512_storeu_ps(at, v);
            }
        }
    }
}
