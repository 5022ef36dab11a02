//! Counts values that are not numbers, in as many bytes as the machine can read.

use super::{ElementType, TensorBytes};
use rayon::prelude::*;

/// Values of a tensor that are not finite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NotFinite {
    /// NaNs.
    pub nan: u64,
    /// Infinities, of either sign.
    pub infinite: u64,
    /// The first of either, counted from 0.
    pub first: Option<usize>,
}

impl NotFinite {
    /// Both kinds.
    pub fn count(&self) -> u64 {
        self.nan + self.infinite
    }

    fn and(self, later: Self) -> Self {
        Self {
            nan: self.nan + later.nan,
            infinite: self.infinite + later.infinite,
            first: self.first.into_iter().chain(later.first).min(),
        }
    }
}

/// Elements that one thread looks at before it asks for more.
const PART: usize = 1 << 20;

/// Looks at every value of a tensor, on all threads. Integers are always finite.
pub fn not_finite(tensor: &TensorBytes<'_>) -> NotFinite {
    match tensor.dtype {
        ElementType::F64 => scan(tensor.data, |b| u64::from_le_bytes(b), 0x7ff0_0000_0000_0000),
        ElementType::F32 => scan(tensor.data, |b| u32::from_le_bytes(b).into(), 0x7f80_0000),
        ElementType::F16 => scan(tensor.data, |b| u16::from_le_bytes(b).into(), 0x7c00),
        ElementType::BF16 => scan(tensor.data, |b| u16::from_le_bytes(b).into(), 0x7f80),
        _ => NotFinite::default(),
    }
}

/// A value whose exponent bits are all set is infinite when the bits below them are 0, else it is no number.
fn scan<const N: usize>(data: &[u8], bits: impl Fn([u8; N]) -> u64 + Sync, exponent: u64) -> NotFinite {
    let below = (exponent & exponent.wrapping_neg()) - 1;
    let (values, _) = data.as_chunks::<N>();
    let part = |(number, part): (usize, &[[u8; N]])| {
        // The common case first, without a branch for each value.
        if part.iter().fold(false, |found, v| found | (bits(*v) & exponent == exponent)) {
            let mut found = NotFinite::default();
            for (i, v) in part.iter().enumerate().filter(|(_, v)| bits(**v) & exponent == exponent) {
                if bits(*v) & below == 0 {
                    found.infinite += 1
                } else {
                    found.nan += 1
                }
                found.first = found.first.or(Some(number * PART + i));
            }
            found
        } else {
            NotFinite::default()
        }
    };
    values.par_chunks(PART).enumerate().map(part).reduce(NotFinite::default, NotFinite::and)
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    #[test]
    fn agrees_with_the_float_types_on_every_half_and_on_samples_of_the_wider_ones() {
        fn check(dtype: ElementType, data: Vec<u8>, values: Vec<f64>) {
            let found = not_finite(&TensorBytes { dtype, shape: vec![values.len()], data: &data });
            let count = |f: fn(&f64) -> bool| values.iter().filter(|v| f(v)).count() as u64;
            let first = values.iter().position(|v| !v.is_finite());
            let expected = NotFinite { nan: count(|v| v.is_nan()), infinite: count(|v| v.is_infinite()), first };
            assert_eq!(found, expected, "{dtype}");
            assert!(found.count() > 0);
        }
        let halves = || (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        check(ElementType::F16, halves(), (0..=u16::MAX).map(|b| f16::from_bits(b).to_f64()).collect());
        check(ElementType::BF16, halves(), (0..=u16::MAX).map(|b| bf16::from_bits(b).to_f64()).collect());
        let mut singles = vec![1.0f32; 3 * PART + 5];
        (singles[PART + 1], singles[2 * PART], singles[3 * PART + 4]) = (f32::NAN, f32::INFINITY, f32::NEG_INFINITY);
        let values = singles.iter().map(|v| f64::from(*v)).collect();
        check(ElementType::F32, singles.iter().flat_map(|v| v.to_le_bytes()).collect(), values);
        let doubles = vec![f64::MAX, -0.0, f64::NEG_INFINITY, -f64::NAN, f64::MIN_POSITIVE];
        check(ElementType::F64, doubles.iter().flat_map(|v| v.to_le_bytes()).collect(), doubles);
        let integers = TensorBytes { dtype: ElementType::I8, shape: vec![4], data: &[255; 4] };
        assert_eq!(not_finite(&integers), NotFinite::default());
    }
}
