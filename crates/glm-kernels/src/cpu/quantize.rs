#![allow(unsafe_code)]
//! The official symmetric quantization of a row in half precision: `q = round(half(w / scale))`, half to even, with one scale a
//! row; and one of our own, with a scale for every few columns. The byte layout is that of [`super::unpack`].

use super::isa::widest;
use super::lanes;
use half::f16;

/// Largest magnitude of a row, as the bits of a half; 0x7c00 or more when a value is not finite.
pub fn largest_magnitude(row: &[[u8; 2]]) -> u16 {
    // Halves without their sign are ordered as integers are.
    row.iter().map(|v| (u16::from_le_bytes(*v) & 0x7fff) as i16).fold(0, i16::max) as u16
}

/// Two values a byte, the even column in the high half: `out[row.len() / 2]`. `scale` is not 0, no quotient is above 7.
pub fn int4(row: &[[u8; 2]], scale: f16, out: &mut [u8]) {
    assert_eq!(row.len(), out.len() * 2, "int4: two values a byte");
    let done = whole_vectors(row, scale, out, 2);
    for (byte, pair) in out.iter_mut().zip(row.chunks_exact(2)).skip(done / 2) {
        *byte = (quotient(pair[0], scale) as u8) << 4 | (quotient(pair[1], scale) as u8 & 15);
    }
}

/// One value a byte: `out[row.len()]`. `scale` is not 0.
pub fn int8(row: &[[u8; 2]], scale: f16, out: &mut [u8]) {
    assert_eq!(row.len(), out.len(), "int8: one value a byte");
    let done = whole_vectors(row, scale, out, 1);
    for (byte, value) in out.iter_mut().zip(row).skip(done) {
        *byte = quotient(*value, scale) as u8;
    }
}

/// Divisors tried for the value of largest magnitude; −8 is the most negative integer, 7 the most positive.
const DIVISORS: [f32; 7] = [-8.0, -7.75, -7.5, -7.25, -7.0, 7.0, 6.5];

/// Quantizes a row, every `group` columns with a scale of their own: the value of largest magnitude divided by each of some
/// numbers (−8 … −7, 6.5, 7), of which the scale with the least squared error is taken. Two values a byte, the even column in the high half:
/// `packed[row.len() / 2]`; scales in half precision, `[row.len() / group]`. An eighth of every value is finite in half
/// precision.
pub fn grouped_int4(row: &[f32], group: usize, packed: &mut [u8], scales: &mut [[u8; 2]]) {
    assert!(group.is_multiple_of(2) && row.len() == scales.len() * group, "grouped int4: not whole groups");
    assert_eq!(row.len(), packed.len() * 2, "grouped int4: two values a byte");
    widest(
        #[inline(always)]
        || {
            let groups = row.chunks_exact(group).zip(packed.chunks_exact_mut(group / 2));
            for ((values, packed), scale) in groups.zip(scales) {
                *scale = group_int4(values, packed).to_le_bytes();
            }
        },
    );
}

#[inline(always)]
fn group_int4(values: &[f32], packed: &mut [u8]) -> f16 {
    // Of two of one magnitude the first, which decides the sign of the scale.
    let largest = values.iter().copied().fold(0.0f32, |a, b| if b.abs() > a.abs() { b } else { a });
    let (mut best, mut least) = (f16::ZERO, f32::INFINITY);
    for divisor in DIVISORS {
        let candidate = f16::from_f32(largest / divisor);
        let scale = candidate.to_f32();
        let error = lanes::sum(values, |v| {
            let rest = v - nearest(v, scale) * scale;
            rest * rest
        });
        if error < least {
            (best, least) = (candidate, error);
        }
    }
    let scale = best.to_f32();
    for (byte, [even, odd]) in packed.iter_mut().zip(values.as_chunks::<2>().0) {
        *byte = (nearest(*even, scale) as i8 as u8) << 4 | (nearest(*odd, scale) as i8 as u8 & 15);
    }
    best
}

/// The integer that a value becomes; 0 where the scale is 0, as it is where all values are about that.
#[inline(always)]
fn nearest(value: f32, scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { (value / scale).round_ties_even().clamp(-8.0, 7.0) }
}

/// The reference: one value.
fn quotient(value: [u8; 2], scale: f16) -> i8 {
    f16::from_f32(f16::from_le_bytes(value).to_f32() / scale.to_f32()).to_f32().round_ties_even() as i8
}

/// Quantizes as many values as fill whole vectors, where the machine has them, and says how many.
fn whole_vectors(row: &[[u8; 2]], scale: f16, out: &mut [u8], values_a_byte: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    if super::isa::isa() == super::isa::Isa::Avx512 {
        // SAFETY: `isa()` names the set only when the machine has it; lengths are asserted by the callers.
        return unsafe { x86::quantize(row, scale.to_f32(), out, values_a_byte) };
    }
    let _ = (row, scale, out, values_a_byte);
    0
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, __m512i, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm_storeu_si128, _mm256_and_si256,
        _mm256_cvtepi16_epi8, _mm256_loadu_si256, _mm256_or_si256, _mm256_set_m128i, _mm256_set1_epi16,
        _mm256_slli_epi16, _mm256_srli_epi16, _mm256_storeu_si256, _mm512_cvtph_ps, _mm512_cvtps_epi32,
        _mm512_cvtps_ph, _mm512_cvtsepi32_epi8, _mm512_div_ps, _mm512_set1_ps,
    };

    /// 32 values at a time; the number of values that were quantized.
    ///
    /// # Safety
    /// The machine has AVX-512 F, BW and VL; `out` has a byte for every `values_a_byte` (1 or 2) values.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub unsafe fn quantize(row: &[[u8; 2]], scale: f32, out: &mut [u8], values_a_byte: usize) -> usize {
        let scale = _mm512_set1_ps(scale);
        let whole = row.len() / 32 * 32;
        for start in (0..whole).step_by(32) {
            let sixteen = |offset: usize| {
                // SAFETY: 16 values from `start + offset` on are inside the row.
                let halves = unsafe { _mm256_loadu_si256(row.as_ptr().add(start + offset).cast::<__m256i>()) };
                let quotient = _mm512_div_ps(_mm512_cvtph_ps(halves), scale);
                let half = _mm512_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(quotient);
                // Rounds half to even, as the machine is set.
                let integers: __m512i = _mm512_cvtps_epi32(_mm512_cvtph_ps(half));
                _mm512_cvtsepi32_epi8(integers)
            };
            let bytes = _mm256_set_m128i(sixteen(16), sixteen(0));
            // SAFETY: `out` has 32 bytes from `start` on, or 16 from `start / 2` on.
            unsafe {
                if values_a_byte == 1 {
                    _mm256_storeu_si256(out.as_mut_ptr().add(start).cast(), bytes);
                } else {
                    let even = _mm256_and_si256(_mm256_slli_epi16::<4>(bytes), _mm256_set1_epi16(0xf0));
                    let odd = _mm256_and_si256(_mm256_srli_epi16::<8>(bytes), _mm256_set1_epi16(0x0f));
                    let packed = _mm256_cvtepi16_epi8(_mm256_or_si256(even, odd));
                    _mm_storeu_si128(out.as_mut_ptr().add(start / 2).cast(), packed);
                }
            }
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_row_equals_the_reference(values in proptest::collection::vec(-1e4f32..1e4, 0..200), small: bool) {
            let factor = if small { 1e-7 } else { 1.0 };
            let mut row: Vec<[u8; 2]> = values.iter().map(|v| f16::from_f32(v * factor).to_le_bytes()).collect();
            row.truncate(row.len() / 2 * 2);
            let largest = f16::from_bits(largest_magnitude(&row));
            let expected = row.iter().map(|v| f16::from_le_bytes(*v).to_f32().abs()).fold(0.0, f32::max);
            prop_assert_eq!(largest.to_f32(), expected);
            for (most, values_a_byte) in [(7.0, 2), (127.0, 1)] {
                let scale = f16::from_f32(largest.to_f32() / most);
                if scale == f16::ZERO {
                    continue;
                }
                let mut found = vec![0; row.len() / values_a_byte];
                let integers: Vec<i8> = row.iter().map(|v| quotient(*v, scale)).collect();
                let expected: Vec<u8> = if values_a_byte == 2 {
                    int4(&row, scale, &mut found);
                    integers.chunks(2).map(|p| (p[0] as u8) << 4 | (p[1] as u8 & 15)).collect()
                } else {
                    int8(&row, scale, &mut found);
                    integers.iter().map(|i| *i as u8).collect()
                };
                prop_assert_eq!(found, expected);
            }
        }
    }

    /// Of the smallest halves so few bits are left that a quotient may be one more than the largest integer.
    #[test]
    fn quotients_of_the_smallest_scales_do_not_wrap() {
        let mut row = vec![[0; 2]; 64];
        for value in [1u16, 63, 190, 9000] {
            row[0] = f16::from_bits(value).to_le_bytes();
            row[40] = f16::from_bits(value | 0x8000).to_le_bytes();
            let scale = f16::from_f32(f16::from_bits(value).to_f32() / 127.0);
            if scale == f16::ZERO {
                continue;
            }
            let mut found = vec![0; 64];
            int8(&row, scale, &mut found);
            assert_eq!(found, row.iter().map(|v| quotient(*v, scale) as u8).collect::<Vec<_>>());
            assert!(found[0] as i8 > 100, "{value}: {}", found[0] as i8);
        }
    }

    #[test]
    fn what_is_not_finite_is_seen() {
        for bad in [f16::NAN, f16::INFINITY, f16::NEG_INFINITY] {
            assert!(largest_magnitude(&[f16::ONE.to_le_bytes(), bad.to_le_bytes()]) >= 0x7c00);
        }
    }

    proptest! {
        /// Against errors in f64 of every scale.
        #[test]
        fn groups_have_the_scale_with_the_least_error(
            values in proptest::collection::vec(-1.0f32..1.0, 64),
            size in prop_oneof![Just(0.0f32), Just(1e-9), Just(1e-3), Just(1.0), Just(5e5)],
            group in prop_oneof![Just(32usize), Just(64)],
        ) {
            let row: Vec<f32> = values.iter().map(|v| v * size).collect();
            let (mut packed, mut scales) = (vec![0; 32], vec![[0; 2]; 64 / group]);
            grouped_int4(&row, group, &mut packed, &mut scales);
            let mut unpacked = vec![0.0; 64];
            crate::cpu::unpack::int4(&packed, &mut unpacked);
            for ((row, integers), scale) in row.chunks(group).zip(unpacked.chunks(group)).zip(&scales) {
                let largest = row.iter().copied().fold(0.0f32, |a, b| if b.abs() > a.abs() { b } else { a });
                let error = |scale: f16| -> f64 {
                    let rest = |v: f32| f64::from(v) - f64::from(nearest(v, scale.to_f32())) * f64::from(scale.to_f32());
                    row.iter().map(|v| rest(*v).powi(2)).sum()
                };
                let errors = DIVISORS.map(|divisor| error(f16::from_f32(largest / divisor)));
                let least = errors.into_iter().fold(f64::MAX, f64::min);
                let scale = f16::from_le_bytes(*scale);
                prop_assert!(error(scale) <= least * (1.0 + 1e-5), "{scale}: {} and not {least}", error(scale));
                for (integer, v) in integers.iter().zip(row) {
                    prop_assert_eq!(*integer, nearest(*v, scale.to_f32()) + 0.0);
                }
            }
        }
    }
}
