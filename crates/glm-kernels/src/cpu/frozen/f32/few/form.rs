//! What the loop needs of an instruction set, and the forms of weights in terms of it.

use super::{COLS, LANES};

/// [`LANES`] values that are worked on together.
///
/// Methods are inlined into functions that are compiled for the instruction set, and must be called only there: then each is
/// one instruction, or few. Floats in memory are little-endian; nothing in memory needs to be aligned.
///
/// # Safety
/// Of all methods: the machine has the instruction set, and what a pointer stands for can be read.
pub(super) trait Vector: Copy {
    /// One value in all lanes.
    ///
    /// # Safety
    /// As of [`Vector`].
    unsafe fn splat(value: f32) -> Self;

    /// `self · other`.
    ///
    /// # Safety
    /// As of [`Vector`].
    unsafe fn multiplied(self, other: Self) -> Self;

    /// `self · factor + addend`, rounded once.
    ///
    /// # Safety
    /// As of [`Vector`].
    unsafe fn multiplied_add(self, factor: Self, addend: Self) -> Self;

    /// `self + other`.
    ///
    /// # Safety
    /// As of [`Vector`].
    unsafe fn added(self, other: Self) -> Self;

    /// The sum of all lanes: of lanes four apart, then of those two apart, then of both.
    ///
    /// # Safety
    /// As of [`Vector`].
    unsafe fn total(self) -> f32;

    /// `f32`s.
    ///
    /// # Safety
    /// As of [`Vector`].
    unsafe fn of_f32(values: *const f32) -> Self;

    /// IEEE half precision.
    ///
    /// # Safety
    /// As of [`Vector`].
    unsafe fn of_f16(values: *const u8) -> Self;

    /// bfloat16.
    ///
    /// # Safety
    /// As of [`Vector`].
    unsafe fn of_bf16(values: *const u8) -> Self;

    /// Bytes in two's complement.
    ///
    /// # Safety
    /// As of [`Vector`].
    unsafe fn of_int8(values: *const u8) -> Self;

    /// High halves of bytes, in two's complement.
    ///
    /// # Safety
    /// As of [`Vector`].
    unsafe fn of_high_halves(bytes: *const u8) -> Self;

    /// Low halves of bytes, in two's complement.
    ///
    /// # Safety
    /// As of [`Vector`].
    unsafe fn of_low_halves(bytes: *const u8) -> Self;
}

/// A form of weights.
pub(super) trait Form: Send + Sync {
    /// Bytes of a step.
    const BYTES: usize;

    /// The column of a step that stands at a place of a vector.
    #[inline(always)]
    fn column(vector: usize, place: usize) -> usize {
        vector * LANES + place
    }

    /// The weights of a vector of a step, without factors.
    ///
    /// # Safety
    /// As of [`Vector`]; a step can be read.
    unsafe fn weights<V: Vector>(step: *const u8, vector: usize) -> V;
}

pub(super) struct F32;
pub(super) struct F16;
pub(super) struct Bf16;
pub(super) struct Int8;
pub(super) struct Int4;

impl Form for F32 {
    const BYTES: usize = 4 * COLS;

    // SAFETY: the caller vouches for the set and the step, as the trait says; so in all impls.
    #[inline(always)]
    unsafe fn weights<V: Vector>(step: *const u8, vector: usize) -> V {
        // SAFETY: passed on from the caller.
        unsafe { V::of_f32(step.cast::<f32>().add(vector * LANES)) }
    }
}

impl Form for F16 {
    const BYTES: usize = 2 * COLS;

    // SAFETY: as above.
    #[inline(always)]
    unsafe fn weights<V: Vector>(step: *const u8, vector: usize) -> V {
        // SAFETY: passed on from the caller.
        unsafe { V::of_f16(step.add(vector * 2 * LANES)) }
    }
}

impl Form for Bf16 {
    const BYTES: usize = 2 * COLS;

    // SAFETY: as above.
    #[inline(always)]
    unsafe fn weights<V: Vector>(step: *const u8, vector: usize) -> V {
        // SAFETY: passed on from the caller.
        unsafe { V::of_bf16(step.add(vector * 2 * LANES)) }
    }
}

impl Form for Int8 {
    const BYTES: usize = COLS;

    // SAFETY: as above.
    #[inline(always)]
    unsafe fn weights<V: Vector>(step: *const u8, vector: usize) -> V {
        // SAFETY: passed on from the caller.
        unsafe { V::of_int8(step.add(vector * LANES)) }
    }
}

impl Form for Int4 {
    const BYTES: usize = COLS / 2;

    // Of eight bytes the high halves, which are even columns, then the low halves: so nothing needs to be put in order.
    #[inline(always)]
    fn column(vector: usize, place: usize) -> usize {
        vector / 2 * 2 * LANES + 2 * place + vector % 2
    }

    // SAFETY: as above.
    #[inline(always)]
    unsafe fn weights<V: Vector>(step: *const u8, vector: usize) -> V {
        // SAFETY: passed on from the caller.
        unsafe {
            let bytes = step.add(vector / 2 * LANES);
            if vector.is_multiple_of(2) { V::of_high_halves(bytes) } else { V::of_low_halves(bytes) }
        }
    }
}
