//! Floats as integers of −127 … 127 times a factor.

/// Added to a float of at most 2²², it leaves the nearest integer (ties to even) in the lowest bits.
pub(super) const MAGIC: f32 = 12_582_912.0;

/// Factor of neighbouring values, and its inverse.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    /// What one means.
    pub scale: f32,
    /// `1 / scale`; 0 where there is none.
    pub inverse: f32,
}

impl Step {
    /// For values of at most this magnitude. One that is not finite makes the factor, and so every result, NaN; values too
    /// small for an inverse are taken as 0.
    pub fn of(largest: f32) -> Self {
        if !largest.is_finite() {
            Self { scale: f32::NAN, inverse: 0.0 }
        } else if largest < 1e-36 {
            Self { scale: 0.0, inverse: 0.0 }
        } else {
            Self { scale: largest / 127.0, inverse: 127.0 / largest }
        }
    }

    /// The nearest integer.
    pub fn integer(self, value: f32) -> i8 {
        value.mul_add(self.inverse, MAGIC).to_bits() as u8 as i8
    }
}

/// The largest magnitude; not finite if one value is not.
pub(super) fn largest(values: impl IntoIterator<Item = f32>) -> f32 {
    // Floats without their sign are ordered as integers are, and what is not finite is above all others.
    f32::from_bits(values.into_iter().map(|v| v.to_bits() & 0x7fff_ffff).fold(0, u32::max))
}
