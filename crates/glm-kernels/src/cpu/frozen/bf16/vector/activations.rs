#![allow(unsafe_code)]
//! The activations as the kernels read them.

use super::form::Form;
use std::arch::x86_64::{
    __m256bh, __m256i, __m512bh, __m512i, _mm256_storeu_si256, _mm512_cvtneps_pbh, _mm512_dpbf16_ps, _mm512_load_si512,
    _mm512_maskz_loadu_ps, _mm512_set1_epi16, _mm512_setzero_ps,
};

/// What a kernel loads at once: 32 values of bfloat16 or 16 floats.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Vector([u16; 32]);

/// Activations `[T, cols]` as vectors `[steps][T][F::VECTORS]`, values behind the end of a row being 0.
pub(super) struct Activations {
    pub tokens: usize,
    pub vectors: Vec<Vector>,
    /// What the sums of every row of activations are too high by.
    excess: Vec<f32>,
}

impl Activations {
    /// Arranges `x [T, cols]` for a form of weights.
    ///
    /// # Safety
    /// The machine has AVX-512 F, BW, VL and BF16.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    pub unsafe fn new<F: Form>(x: &[f32], cols: usize) -> Self {
        let tokens = x.len() / cols;
        let mut vectors = vec![Vector([0; 32]); cols.div_ceil(F::COLS) * tokens * F::VECTORS];
        for (t, row) in x.chunks_exact(cols).enumerate() {
            let steps = vectors.chunks_exact_mut(tokens * F::VECTORS);
            for (values, step) in row.chunks(F::COLS).zip(steps) {
                let out = &mut step[t * F::VECTORS..(t + 1) * F::VECTORS];
                if F::ROUNDED {
                    arrange::<F>(&rounded(values), out);
                } else {
                    for (values, out) in values.chunks(16).zip(out) {
                        for (value, out) in values.iter().zip(out.0.as_chunks_mut::<2>().0) {
                            let bits = value.to_bits();
                            *out = [bits as u16, (bits >> 16) as u16];
                        }
                    }
                }
            }
        }
        let excess =
            (0..tokens).map(|t| if F::OFFSET == 0.0 { 0.0 } else { F::OFFSET * sum::<F>(&vectors, t, tokens) });
        let excess = excess.collect();
        Self { tokens, vectors, excess }
    }

    /// What the sums of a row of activations are too high by.
    pub fn excess(&self, token: usize) -> f32 {
        self.excess[token]
    }
}

/// At most 128 values as bfloat16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn rounded(values: &[f32]) -> [u16; 128] {
    let mut out = [0u16; 128];
    for (values, out) in values.chunks(16).zip(out.as_chunks_mut::<16>().0) {
        let mask = (u32::MAX >> (32 - values.len())) as u16;
        // SAFETY: the mask has a bit for every value; `out` holds 16.
        unsafe {
            let v = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, values.as_ptr()));
            _mm256_storeu_si256(out.as_mut_ptr().cast(), std::mem::transmute::<__m256bh, __m256i>(v));
        }
    }
    out
}

fn arrange<F: Form>(values: &[u16; 128], out: &mut [Vector]) {
    for (v, out) in out.iter_mut().enumerate() {
        for (i, out) in out.0.iter_mut().enumerate() {
            *out = values[F::column(v, i) % 128];
        }
    }
}

/// The sum of a row of activations, in the order of a product.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn sum<F: Form>(vectors: &[Vector], token: usize, tokens: usize) -> f32 {
    // SAFETY: both are 64 bytes without a meaning of their own.
    let pairs = |bits| unsafe { std::mem::transmute::<__m512i, __m512bh>(bits) };
    let ones = pairs(_mm512_set1_epi16(0x3f80));
    let mut sum = _mm512_setzero_ps();
    for step in vectors.chunks_exact(tokens * F::VECTORS) {
        for vector in &step[token * F::VECTORS..(token + 1) * F::VECTORS] {
            // SAFETY: a vector is 64 bytes, aligned.
            let x = unsafe { _mm512_load_si512(std::ptr::from_ref(vector).cast()) };
            sum = _mm512_dpbf16_ps(sum, pairs(x), ones);
        }
    }
    super::kernel::total(sum)
}
