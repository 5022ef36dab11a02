#![allow(unsafe_code)]
//! Small integers and short floats to `f32`, without their scale. The byte layout of the integers is the official one.

#[cfg(target_arch = "aarch64")]
pub(super) mod neon;
pub mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::isa::{Isa, isa};

/// Two columns a byte, even column in the high half, both two's complement: `out[2 * packed.len()]`.
pub fn int4(packed: &[u8], out: &mut [f32]) {
    int4_with(isa(), packed, out);
}

/// One column a byte, two's complement: `out[packed.len()]`.
pub fn int8(packed: &[u8], out: &mut [f32]) {
    int8_with(isa(), packed, out);
}

/// bfloat16, little-endian: `out[values.len()]`.
pub fn bf16(values: &[[u8; 2]], out: &mut [f32]) {
    assert_eq!(out.len(), values.len(), "bf16: one value each");
    out.iter_mut().zip(values).for_each(|(o, v)| *o = f32::from_bits(u32::from(u16::from_le_bytes(*v)) << 16));
}

/// IEEE half precision, little-endian: `out[values.len()]`.
pub fn f16(values: &[[u8; 2]], out: &mut [f32]) {
    f16_with(isa(), values, out);
}

fn f16_with(isa: Isa, values: &[[u8; 2]], out: &mut [f32]) {
    assert_eq!(out.len(), values.len(), "f16: one value each");
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `isa()` names a set only when the machine has it; every machine with AVX2 converts half precision.
        Isa::Avx2 | Isa::Avx512 if is_x86_feature_detected!("f16c") => unsafe { x86::f16_f16c(values, out) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: `isa()` names a set only when the machine has it.
        Isa::Neon => unsafe { neon::f16(values, out) },
        _ => scalar::f16(values, out),
    }
}

fn int4_with(isa: Isa, packed: &[u8], out: &mut [f32]) {
    assert_eq!(out.len(), packed.len() * 2, "int4: two values a byte");
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `isa()` names a set only when the machine has it.
        Isa::Avx2 | Isa::Avx512 => unsafe { x86::int4_avx2(packed, out) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        Isa::Neon => unsafe { neon::int4(packed, out) },
        _ => scalar::int4(packed, out),
    }
}

fn int8_with(isa: Isa, packed: &[u8], out: &mut [f32]) {
    assert_eq!(out.len(), packed.len(), "int8: one value a byte");
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `isa()` names a set only when the machine has it.
        Isa::Avx2 => unsafe { x86::int8_avx2(packed, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx512 => unsafe { x86::int8_avx512(packed, out) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        Isa::Neon => unsafe { neon::int8(packed, out) },
        _ => scalar::int8(packed, out),
    }
}

#[cfg(test)]
mod tests {
    use super::super::isa::sets;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn int4_order_and_sign() {
        let mut out = [0.0; 4];
        int4(&[0x7f, 0x91], &mut out);
        assert_eq!(out, [7.0, -1.0, -7.0, 1.0]);
    }

    #[test]
    fn every_half_widens_as_the_scalar_twin_says() {
        let halves: Vec<[u8; 2]> = (0..=u16::MAX).map(u16::to_le_bytes).collect();
        let (mut expected, mut found) = (vec![0.0; halves.len()], vec![0.0; halves.len()]);
        scalar::f16(&halves, &mut expected);
        for isa in sets().iter().copied() {
            f16_with(isa, &halves, &mut found);
            for (half, (a, b)) in halves.iter().zip(expected.iter().zip(&found)) {
                assert!(a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(), "{half:?}: {a} {b}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_set_equals_the_scalar_twin(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (mut expected, mut found) = (vec![0.0; bytes.len() * 2], vec![0.0; bytes.len() * 2]);
            scalar::int4(&bytes, &mut expected);
            let (mut expected8, mut found8) = (vec![0.0; bytes.len()], vec![0.0; bytes.len()]);
            scalar::int8(&bytes, &mut expected8);
            for isa in sets().iter().copied() {
                int4_with(isa, &bytes, &mut found);
                prop_assert_eq!(&expected, &found);
                int8_with(isa, &bytes, &mut found8);
                prop_assert_eq!(&expected8, &found8);
            }
        }
    }
}
