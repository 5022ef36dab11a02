//! Sums and maxima in several lanes: value `i` of a row goes to lane `i mod LANES`, the lanes are added up as a tree. The
//! order is the same on every instruction set and for every number of threads.

use std::ops::Add;

/// One AVX-512 vector. With more the compiler takes the loops apart and they get slower.
const LANES: usize = 16;

#[inline(always)]
fn tree<T: Copy>(mut lanes: [T; LANES], join: impl Fn(T, T) -> T) -> T {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = join(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// `Σ term(a[i])`.
#[inline(always)]
pub(crate) fn sum<T: Copy + Default + Add<Output = T>>(a: &[f32], term: impl Fn(f32) -> T) -> T {
    let mut lanes = [T::default(); LANES];
    let (whole, rest) = a.as_chunks::<LANES>();
    for a in whole {
        for (lane, a) in lanes.iter_mut().zip(a) {
            *lane = *lane + term(*a);
        }
    }
    for (lane, a) in lanes.iter_mut().zip(rest) {
        *lane = *lane + term(*a);
    }
    tree(lanes, |a, b| a + b)
}

/// What `step(lane, a[i], b[i])` makes of lanes that begin at 0, added up.
#[inline(always)]
fn fold_two<T: Copy + Default + Add<Output = T>>(a: &[f32], b: &[f32], step: impl Fn(T, f32, f32) -> T) -> T {
    let mut lanes = [T::default(); LANES];
    let ((whole_a, rest_a), (whole_b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in whole_a.iter().zip(whole_b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane = step(*lane, *a, *b);
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(rest_a).zip(rest_b) {
        *lane = step(*lane, *a, *b);
    }
    tree(lanes, |a, b| a + b)
}

/// `Σ term(a[i], b[i])` of two rows of one length.
#[inline(always)]
pub(crate) fn sum_of_two(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f64) -> f64 {
    fold_two(a, b, |lane, a, b| lane + term(a, b))
}

/// `Σ a[i] · b[i]` of two rows of one length, each term rounded once.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    fold_two(a, b, |lane: f32, a, b| a.mul_add(b, lane))
}

/// The greatest value, -∞ of none; NaNs are passed over.
#[inline(always)]
pub(crate) fn max(a: &[f32]) -> f32 {
    // A comparison with NaN is false; `f32::max` would take two instructions more.
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = a.as_chunks::<LANES>();
    for a in whole {
        for (lane, a) in lanes.iter_mut().zip(a) {
            *lane = greater(*lane, *a);
        }
    }
    for (lane, a) in lanes.iter_mut().zip(rest) {
        *lane = greater(*lane, *a);
    }
    tree(lanes, greater)
}

#[cfg(test)]
mod tests {
    /// Integers, whose sums are exact in any order, so that a value left out or taken twice shows.
    #[test]
    fn every_value_counts_once() {
        for n in (0..200).chain([1000, 4096]) {
            let a: Vec<f32> = (0..n).map(|i| (i * 37 % 101) as f32 - 50.0).collect();
            let b: Vec<f32> = (0..n).map(|i| (i * 11 % 17) as f32).collect();
            assert_eq!(super::sum(&a, |v| v * v), a.iter().map(|v| v * v).sum::<f32>(), "{n}");
            assert_eq!(super::sum(&a, f64::from), a.iter().map(|v| f64::from(*v)).sum::<f64>(), "{n}");
            assert_eq!(super::dot(&a, &b), a.iter().zip(&b).map(|(a, b)| a * b).sum::<f32>(), "{n}");
            assert_eq!(super::max(&a), a.iter().copied().fold(f32::NEG_INFINITY, f32::max), "{n}");
        }
        let mut a = vec![-3.0; 131];
        (a[0], a[70], a[130]) = (f32::NAN, -1.0, f32::NAN);
        assert_eq!(super::max(&a), -1.0);
    }
}
