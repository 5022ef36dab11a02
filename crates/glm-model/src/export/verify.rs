//! Compares what was written with what it was written from, value by value.

use crate::weights::ElementType;
use rayon::prelude::*;

/// Values that one thread compares before it asks for more. A multiple of every block of every format.
const PART: usize = 1 << 16;

/// Most that rounding to `dtype` moves a value: half of its last place, and half of the smallest step near 0.
pub(super) fn rounding(value: f32, dtype: ElementType) -> f32 {
    let (relative, least) = match dtype {
        ElementType::F16 => (1.0 / 2048.0, 1.0 / 33_554_432.0),
        ElementType::BF16 => (1.0 / 256.0, f32::MIN_POSITIVE),
        _ => return 0.0,
    };
    value.abs() * relative + least
}

/// The first value of `found` that is farther from `expected` than allowed, as a sentence. Both are split into blocks of
/// `block` values, and `bound` gives the most that the values of an expected block may be off.
pub(super) fn compare(
    expected: &[f32],
    found: &[f32],
    block: usize,
    bound: impl Fn(&[f32]) -> f32 + Sync,
) -> Result<(), String> {
    compare_from(0, expected, found, block, bound)
}

/// As [`compare`], of a part of a tensor that begins with its element `first`.
pub(super) fn compare_from(
    first: usize,
    expected: &[f32],
    found: &[f32],
    block: usize,
    bound: impl Fn(&[f32]) -> f32 + Sync,
) -> Result<(), String> {
    if expected.len() != found.len() {
        return Err(format!("it holds {} values after reopening, expected {}", found.len(), expected.len()));
    }
    let block = block.max(1);
    let part = PART.next_multiple_of(block);
    let pairs = expected.par_chunks(part).zip(found.par_chunks(part)).enumerate();
    let wrong = pairs.find_map_first(|(number, (expected, found))| {
        let blocks = expected.chunks(block).zip(found.chunks(block)).enumerate();
        blocks.into_iter().find_map(|(index, (expected, found))| {
            let most = bound(expected);
            // A NaN is never within the bound.
            let off = |i: &usize| {
                let difference = (expected[*i] - found[*i]).abs();
                difference.is_nan() || difference > most
            };
            let at = (0..expected.len()).find(off)?;
            Some((first + number * part + index * block + at, expected[at], found[at]))
        })
    });
    match wrong {
        None => Ok(()),
        Some((at, expected, found)) => {
            Err(format!("element {at} is {found} after reopening, expected {expected} within the rounding of its type"))
        }
    }
}

/// Largest magnitude of a block.
pub(super) fn largest(block: &[f32]) -> f32 {
    block.iter().fold(0.0, |most, v| most.max(v.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_outside_its_bound_is_named() {
        let expected: Vec<f32> = (0..3 * PART + 5).map(|i| i as f32).collect();
        let half = |block: &[f32]| if largest(block) > 0.0 { 0.5 } else { 0.0 };
        assert_eq!(compare(&expected, &expected, 32, half), Ok(()));
        for (at, value) in [(0, 0.1), (PART + 7, 0.0), (3 * PART + 4, f32::NAN)] {
            let mut found = expected.clone();
            found[at] = value;
            found[3 * PART + 4] = f32::NAN;
            let reason = compare(&expected, &found, 32, |_| 0.05).unwrap_err();
            assert!(reason.contains(&format!("element {at} ")), "{reason}");
        }
        assert!(compare(&expected, &expected[1..], 32, half).unwrap_err().contains("values after reopening"));
    }

    #[test]
    fn rounding_to_half_precision_stays_within_the_bound() {
        for value in [0.0, 1e-9, 6e-8, 6.1e-5, 0.333_333, 1.0, 2049.0, 65000.0f32] {
            let half = half::f16::from_f32(value).to_f32();
            assert!((half - value).abs() <= rounding(value, ElementType::F16), "{value} {half}");
            let brain = half::bf16::from_f32(value).to_f32();
            assert!((brain - value).abs() <= rounding(value, ElementType::BF16), "{value} {brain}");
        }
    }
}
