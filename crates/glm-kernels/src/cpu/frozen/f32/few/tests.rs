use super::super::super::tests::{Forms, wave};
use super::*;
use crate::cpu::isa::{Isa, isa};

/// The reference of the machine's vectors, with which the same loop is run.
#[derive(Clone, Copy)]
struct Plain([f32; LANES]);

impl Plain {
    fn of(value: impl FnMut(usize) -> f32) -> Self {
        Self(std::array::from_fn(value))
    }

    /// # Safety
    /// The values can be read.
    unsafe fn read<const N: usize>(values: *const u8, value: impl Fn([u8; N]) -> f32) -> Self {
        // SAFETY: passed on from the caller.
        let values = unsafe { values.cast::<[[u8; N]; LANES]>().read_unaligned() };
        Self(values.map(value))
    }
}

// SAFETY: nothing is needed of the machine, and callers vouch for what is read, as the trait says; so in all methods.
impl Vector for Plain {
    unsafe fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    unsafe fn multiplied(self, other: Self) -> Self {
        Self::of(|i| self.0[i] * other.0[i])
    }

    // SAFETY: the caller vouches for the set and the values, as the trait says.
    unsafe fn multiplied_add(self, factor: Self, addend: Self) -> Self {
        Self::of(|i| self.0[i].mul_add(factor.0[i], addend.0[i]))
    }

    // SAFETY: the caller vouches for the set and the values, as the trait says.
    unsafe fn added(self, other: Self) -> Self {
        Self::of(|i| self.0[i] + other.0[i])
    }

    // SAFETY: the caller vouches for the set and the values, as the trait says.
    unsafe fn total(self) -> f32 {
        let four: [f32; 4] = std::array::from_fn(|i| self.0[i] + self.0[i + 4]);
        (four[0] + four[2]) + (four[1] + four[3])
    }

    // SAFETY: the caller vouches for the set and the values, as the trait says.
    unsafe fn of_f32(values: *const f32) -> Self {
        // SAFETY: passed on from the caller; so in all methods.
        unsafe { Self::read(values.cast(), f32::from_le_bytes) }
    }

    unsafe fn of_f16(values: *const u8) -> Self {
        // SAFETY: as above.
        unsafe { Self::read(values, |v| half::f16::from_le_bytes(v).to_f32()) }
    }

    unsafe fn of_bf16(values: *const u8) -> Self {
        // SAFETY: as above.
        unsafe { Self::read(values, |v| half::bf16::from_le_bytes(v).to_f32()) }
    }

    unsafe fn of_int8(values: *const u8) -> Self {
        // SAFETY: as above.
        unsafe { Self::read(values, |[v]| f32::from(v as i8)) }
    }

    unsafe fn of_high_halves(bytes: *const u8) -> Self {
        // SAFETY: as above.
        unsafe { Self::read(bytes, |[v]| f32::from(v as i8 >> 4)) }
    }

    unsafe fn of_low_halves(bytes: *const u8) -> Self {
        // SAFETY: as above.
        unsafe { Self::read(bytes, |[v]| f32::from((v << 4) as i8 >> 4)) }
    }
}

#[test]
fn machines_with_vectors_take_this_way() {
    let vectors = match isa() {
        Isa::Scalar => false,
        Isa::Neon => true,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => is_x86_feature_detected!("f16c"),
        #[cfg(not(target_arch = "x86_64"))]
        Isa::Avx2 | Isa::Avx512 => unreachable!("sets of another architecture"),
    };
    let forms = Forms::new(3, 256);
    for matrix in forms.all() {
        let whole = !matches!(matrix.values, Values::Int4Group { group: 8, .. });
        assert!((1..=MOST).all(|tokens| suits(&matrix, tokens) == (vectors && whole)));
        assert!(!suits(&matrix, 0) && !suits(&matrix, MOST + 1));
    }
}

/// Lanes are summed in one order, so not a bit may differ.
#[test]
fn products_of_vectors_are_those_of_their_twin() {
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    for (rows, cols) in [(1, 1), (5, 30), (13, 32), (26, 257), (31, 512), (12, 1025)] {
        let forms = Forms::new(rows, cols);
        for (matrix, tokens) in
            forms.all().into_iter().flat_map(|matrix| (1..=MOST).map(move |tokens| (matrix, tokens)))
        {
            if !suits(&matrix, tokens) {
                continue;
            }
            let x = wave(tokens * cols, 0.5);
            let (mut y, mut expected) = (vec![9.0; tokens * rows], vec![0.0; tokens * rows]);
            product(&matrix, &x, &mut y);
            with::<Plain>(&matrix, &x, &mut expected);
            let form = std::mem::discriminant(&matrix.values);
            assert!(bits(&y) == bits(&expected), "{form:?} [{rows}, {cols}], T {tokens}");
        }
    }
}
