//! Vectors of NEON, two registers each.

use super::AT_ONCE;
use super::form::Vector;
use crate::cpu::isa::{Isa, isa};
use crate::cpu::unpack::neon::widened;
use std::arch::aarch64::{
    float32x4_t, int8x8_t, int32x4_t, uint16x8_t, vadd_f32, vaddq_f32, vand_s8, vcvtq_f32_s32, vcvtq_n_f32_s32,
    vdup_n_s8, vdupq_n_f32, vfmaq_f32, vget_high_f32, vget_lane_f32, vget_low_f32, vget_low_s16, vget_low_u16, vld1_s8,
    vld1q_f32, vld1q_u8, vmovl_high_s16, vmovl_high_u16, vmovl_s8, vmovl_s16, vmovl_u16, vmulq_f32, vpadd_f32,
    vreinterpretq_f32_u32, vreinterpretq_u16_u8, vshl_n_s8, vshlq_n_u32,
};

/// Whether the kernels of this machine use what is here.
pub(super) fn available() -> bool {
    isa() == Isa::Neon
}

/// Rows of the matrix at a time beside one, two, three and four of activations. Sums fill at most 16 of 32 registers: with
/// more the compiler keeps them in memory, as weights are two registers each and take others on their way from integers.
pub(super) const ROWS_AT_ONCE: [usize; AT_ONCE] = [4, 3, 2, 2];

/// Eight lanes. With four, the sums of a single row of activations would be too few to keep the units busy.
#[derive(Clone, Copy)]
pub(super) struct Lanes(float32x4_t, float32x4_t);

/// Eight bytes as integers of 32 bits.
///
/// # Safety
/// The machine has NEON.
#[inline(always)]
unsafe fn extended(bytes: int8x8_t) -> [int32x4_t; 2] {
    // SAFETY: passed on from the caller.
    unsafe {
        let wide = vmovl_s8(bytes);
        [vmovl_s16(vget_low_s16(wide)), vmovl_high_s16(wide)]
    }
}

/// Eight bytes divided by 16, which the conversion does on its way: halves of bytes need not be moved to their right end.
///
/// # Safety
/// The machine has NEON.
#[inline(always)]
unsafe fn sixteenths(bytes: int8x8_t) -> Lanes {
    // SAFETY: passed on from the caller.
    unsafe {
        let [low, high] = extended(bytes);
        Lanes(vcvtq_n_f32_s32::<4>(low), vcvtq_n_f32_s32::<4>(high))
    }
}

/// Eight numbers of 16 bits.
///
/// # Safety
/// The machine has NEON; 16 bytes can be read.
#[inline(always)]
unsafe fn shorts(values: *const u8) -> uint16x8_t {
    // SAFETY: passed on from the caller.
    unsafe { vreinterpretq_u16_u8(vld1q_u8(values)) }
}

// SAFETY: callers vouch for the set and for what is read, as the trait says; so in all methods.
impl Vector for Lanes {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: passed on from the caller; so in all methods.
        unsafe { Self(vdupq_n_f32(value), vdupq_n_f32(value)) }
    }

    #[inline(always)]
    unsafe fn multiplied(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self(vmulq_f32(self.0, other.0), vmulq_f32(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn multiplied_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self(vfmaq_f32(addend.0, self.0, factor.0), vfmaq_f32(addend.1, self.1, factor.1)) }
    }

    #[inline(always)]
    unsafe fn added(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self(vaddq_f32(self.0, other.0), vaddq_f32(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn total(self) -> f32 {
        // SAFETY: as above.
        unsafe {
            let four = vaddq_f32(self.0, self.1);
            let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
            vget_lane_f32::<0>(vpadd_f32(two, two))
        }
    }

    // SAFETY: the caller vouches for the set and the values, as the trait says.
    #[inline(always)]
    unsafe fn of_f32(values: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { Self(vld1q_f32(values), vld1q_f32(values.add(4))) }
    }

    #[inline(always)]
    unsafe fn of_f16(values: *const u8) -> Self {
        // SAFETY: as above.
        unsafe {
            let [low, high] = widened(shorts(values));
            Self(low, high)
        }
    }

    // SAFETY: the caller vouches for the set and the values, as the trait says.
    #[inline(always)]
    unsafe fn of_bf16(values: *const u8) -> Self {
        // SAFETY: as above.
        unsafe {
            let shorts = shorts(values);
            let (low, high) = (vmovl_u16(vget_low_u16(shorts)), vmovl_high_u16(shorts));
            let float = |wide| vreinterpretq_f32_u32(vshlq_n_u32::<16>(wide));
            Self(float(low), float(high))
        }
    }

    // SAFETY: the caller vouches for the set and the values, as the trait says.
    #[inline(always)]
    unsafe fn of_int8(values: *const u8) -> Self {
        // SAFETY: as above.
        unsafe {
            let [low, high] = extended(vld1_s8(values.cast()));
            Self(vcvtq_f32_s32(low), vcvtq_f32_s32(high))
        }
    }

    // SAFETY: the caller vouches for the set and the values, as the trait says.
    #[inline(always)]
    unsafe fn of_high_halves(bytes: *const u8) -> Self {
        // SAFETY: as above.
        unsafe { sixteenths(vand_s8(vld1_s8(bytes.cast()), vdup_n_s8(-16))) }
    }

    #[inline(always)]
    unsafe fn of_low_halves(bytes: *const u8) -> Self {
        // SAFETY: as above.
        unsafe { sixteenths(vshl_n_s8::<4>(vld1_s8(bytes.cast()))) }
    }
}
