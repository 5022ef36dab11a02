#![allow(unsafe_code)]
//! NEON forms: 16 bytes or 8 short floats at a time, the rest as the scalar twin does it.

use std::arch::aarch64::{
    float32x4_t, int8x16_t, uint16x8_t, vcvtq_f32_s32, vget_low_s8, vget_low_s16, vld1q_s8, vld1q_u8, vmovl_high_s8,
    vmovl_high_s16, vmovl_s8, vmovl_s16, vreinterpretq_u16_u8, vshlq_n_s8, vshrq_n_s8, vst1q_f32, vzip1q_s8, vzip2q_s8,
};
use std::arch::asm;

/// NEON form of [`super::int4`].
#[target_feature(enable = "neon")]
pub(super) fn int4(packed: &[u8], out: &mut [f32]) {
    let (whole, rest) = packed.as_chunks::<16>();
    for (bytes, values) in whole.iter().zip(out.as_chunks_mut::<32>().0) {
        // SAFETY: 16 bytes are read.
        let raw = unsafe { vld1q_s8(bytes.as_ptr().cast()) };
        let (high, low) = (vshrq_n_s8::<4>(raw), vshrq_n_s8::<4>(vshlq_n_s8::<4>(raw)));
        let (first, second) = values.split_at_mut(16);
        sixteen(vzip1q_s8(high, low), first);
        sixteen(vzip2q_s8(high, low), second);
    }
    super::scalar::int4(rest, &mut out[whole.len() * 32..]);
}

/// NEON form of [`super::int8`].
#[target_feature(enable = "neon")]
pub(super) fn int8(packed: &[u8], out: &mut [f32]) {
    let (whole, rest) = packed.as_chunks::<16>();
    for (bytes, values) in whole.iter().zip(out.as_chunks_mut::<16>().0) {
        // SAFETY: 16 bytes are read.
        sixteen(unsafe { vld1q_s8(bytes.as_ptr().cast()) }, values);
    }
    super::scalar::int8(rest, &mut out[whole.len() * 16..]);
}

/// Integers as floats, in order.
#[inline]
#[target_feature(enable = "neon")]
fn sixteen(integers: int8x16_t, out: &mut [f32]) {
    let (first, second) = (vmovl_s8(vget_low_s8(integers)), vmovl_high_s8(integers));
    let fours = [
        vmovl_s16(vget_low_s16(first)),
        vmovl_high_s16(first),
        vmovl_s16(vget_low_s16(second)),
        vmovl_high_s16(second),
    ];
    for (four, out) in fours.into_iter().zip(out.as_chunks_mut::<4>().0) {
        // SAFETY: four values are written.
        unsafe { vst1q_f32(out.as_mut_ptr(), vcvtq_f32_s32(four)) };
    }
}

/// NEON form of [`super::f16`].
#[target_feature(enable = "neon")]
pub(super) fn f16(values: &[[u8; 2]], out: &mut [f32]) {
    let (whole, rest) = values.as_chunks::<8>();
    for (halves, floats) in whole.iter().zip(out.as_chunks_mut::<8>().0) {
        // SAFETY: eight values are read and written; the machine has NEON, as here.
        unsafe {
            let [low, high] = widened(vreinterpretq_u16_u8(vld1q_u8(halves.as_ptr().cast())));
            vst1q_f32(floats.as_mut_ptr(), low);
            vst1q_f32(floats.as_mut_ptr().add(4), high);
        }
    }
    super::scalar::f16(rest, &mut out[whole.len() * 8..]);
}

/// Eight halves as floats. The intrinsics for it (`vcvt_f32_f16`) are younger than the oldest compiler that builds this crate.
///
/// # Safety
/// The machine has NEON.
#[inline(always)]
pub(in crate::cpu) unsafe fn widened(halves: uint16x8_t) -> [float32x4_t; 2] {
    let (low, high): (float32x4_t, float32x4_t);
    // SAFETY: the instructions are part of NEON; they touch their registers and the status of exceptions only.
    unsafe {
        asm!("fcvtl {low:v}.4s, {halves:v}.4h", low = out(vreg) low, halves = in(vreg) halves, options(pure, nomem, nostack));
        asm!("fcvtl2 {high:v}.4s, {halves:v}.8h", high = out(vreg) high, halves = in(vreg) halves, options(pure, nomem, nostack));
    }
    [low, high]
}
