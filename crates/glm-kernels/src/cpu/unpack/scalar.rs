//! The reference: one value at a time. `#[inline(always)]` bodies are compiled again for wider instruction sets.

/// See [`super::int4`].
#[inline(always)]
pub fn int4(packed: &[u8], out: &mut [f32]) {
    for (pair, byte) in out.chunks_exact_mut(2).zip(packed) {
        pair[0] = f32::from((*byte as i8) >> 4);
        pair[1] = f32::from(((*byte << 4) as i8) >> 4);
    }
}

/// See [`super::int8`].
#[inline(always)]
pub fn int8(packed: &[u8], out: &mut [f32]) {
    for (value, byte) in out.iter_mut().zip(packed) {
        *value = f32::from(*byte as i8);
    }
}

/// See [`super::f16`].
pub fn f16(values: &[[u8; 2]], out: &mut [f32]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = half::f16::from_le_bytes(*value).to_f32();
    }
}
