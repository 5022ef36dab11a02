#![allow(unsafe_code)]
//! AVX2 and AVX-512 forms. int8 is the scalar body compiled with wider registers; int4 splits 16 bytes at a time.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_and_si128, _mm_loadu_si128, _mm_set1_epi8, _mm_srli_epi16, _mm_srli_si128, _mm_sub_epi8,
    _mm_unpackhi_epi8, _mm_unpacklo_epi8, _mm_xor_si128, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtph_ps,
    _mm256_storeu_ps,
};

/// AVX2 form of [`super::int8`].
#[target_feature(enable = "avx2,fma")]
pub fn int8_avx2(packed: &[u8], out: &mut [f32]) {
    super::scalar::int8(packed, out);
}

/// AVX-512 form of [`super::int8`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
pub fn int8_avx512(packed: &[u8], out: &mut [f32]) {
    super::scalar::int8(packed, out);
}

/// AVX2 form of [`super::int4`]: the four bits are sign-extended as `(x ^ 8) - 8`.
#[target_feature(enable = "avx2,fma")]
pub fn int4_avx2(packed: &[u8], out: &mut [f32]) {
    let (mask, eight) = (_mm_set1_epi8(15), _mm_set1_epi8(8));
    let whole = packed.len() / 16 * 16;
    for (bytes, values) in packed[..whole].chunks_exact(16).zip(out.chunks_exact_mut(32)) {
        // SAFETY: `bytes` holds 16 bytes; unaligned loads are allowed.
        let raw = unsafe { _mm_loadu_si128(bytes.as_ptr().cast::<__m128i>()) };
        let high = _mm_and_si128(_mm_srli_epi16::<4>(raw), mask);
        let low = _mm_and_si128(raw, mask);
        let extend = |x| _mm_sub_epi8(_mm_xor_si128(x, eight), eight);
        let (high, low) = (extend(high), extend(low));
        let (first, second) = (_mm_unpacklo_epi8(high, low), _mm_unpackhi_epi8(high, low));
        let eights = [first, _mm_srli_si128::<8>(first), second, _mm_srli_si128::<8>(second)];
        for (eight_values, target) in eights.into_iter().zip(values.chunks_exact_mut(8)) {
            let wide: __m256i = _mm256_cvtepi8_epi32(eight_values);
            // SAFETY: `target` holds 8 values; unaligned stores are allowed.
            unsafe { _mm256_storeu_ps(target.as_mut_ptr(), _mm256_cvtepi32_ps(wide)) };
        }
    }
    super::scalar::int4(&packed[whole..], &mut out[whole * 2..]);
}

/// Form of [`super::f16`] with the conversion of the machine.
#[target_feature(enable = "avx,f16c")]
pub fn f16_f16c(values: &[[u8; 2]], out: &mut [f32]) {
    let whole = values.len() / 8 * 8;
    for (halves, floats) in values[..whole].chunks_exact(8).zip(out.chunks_exact_mut(8)) {
        // SAFETY: eight values are read and written; unaligned access is allowed.
        unsafe {
            let raw = _mm_loadu_si128(halves.as_ptr().cast::<__m128i>());
            _mm256_storeu_ps(floats.as_mut_ptr(), _mm256_cvtph_ps(raw));
        }
    }
    super::scalar::f16(&values[whole..], &mut out[whole..]);
}
