//! Which instruction set the kernels use: detected once, or forced by `GLM_ISA=scalar|neon|avx2|avx512`.

use pulp::Arch;
use std::sync::OnceLock;

/// Instruction sets with kernels of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust.
    Scalar,
    /// NEON, which every processor with AArch64 has.
    Neon,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512 F, BW and VL.
    Avx512,
}

impl Isa {
    /// Name as `GLM_ISA` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

/// The instruction sets that this machine has, from the narrowest to the widest; plain Rust is always one of them.
pub fn sets() -> &'static [Isa] {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
        {
            return &[Isa::Scalar, Isa::Avx2, Isa::Avx512];
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return &[Isa::Scalar, Isa::Avx2];
        }
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        return &[Isa::Scalar, Isa::Neon];
    }
    &[Isa::Scalar]
}

/// The best instruction set of this machine.
pub fn detected() -> Isa {
    sets().last().copied().unwrap_or(Isa::Scalar)
}

/// The instruction set in use. `GLM_ISA` can only lower it: a set that the machine lacks is never chosen.
pub fn isa() -> Isa {
    static ISA: OnceLock<Isa> = OnceLock::new();
    *ISA.get_or_init(|| {
        let wanted = std::env::var("GLM_ISA").ok();
        let named = sets().iter().copied().find(|set| wanted.as_deref() == Some(set.name()));
        named.unwrap_or_else(detected)
    })
}

/// The vectors that loops are compiled for under `isa`, narrower where the machine lacks a part of the set.
#[cfg(target_arch = "x86_64")]
pub(crate) fn vectors(isa: Isa) -> Arch {
    let avx2 = pulp::x86::V3::try_new().filter(|_| matches!(isa, Isa::Avx2 | Isa::Avx512)).map(Arch::V3);
    let avx512 = pulp::x86::V4::try_new().filter(|_| isa == Isa::Avx512).map(Arch::V4);
    avx512.or(avx2).unwrap_or(Arch::Scalar)
}

/// The vectors that loops are compiled for under `isa`.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn vectors(isa: Isa) -> Arch {
    if isa == Isa::Scalar { Arch::Scalar } else { Arch::new() }
}

/// Runs `work` compiled for the vectors of [`isa`]. Only what is inlined into it is: the closure needs
/// `#[inline(always)]`, and so do the functions it calls. Such code gives the same bits on every instruction set as long
/// as it sums in the lanes of [`super::lanes`]: the compiler neither reorders float sums nor fuses products by itself.
#[inline(always)]
pub(crate) fn widest<R>(work: impl FnOnce() -> R) -> R {
    static VECTORS: OnceLock<Arch> = OnceLock::new();
    VECTORS.get_or_init(|| vectors(isa())).dispatch(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_in_use_is_one_that_the_machine_has() {
        assert_eq!(sets()[0], Isa::Scalar);
        assert!(sets().contains(&isa()) && sets().contains(&detected()));
        match std::env::var("GLM_ISA") {
            Ok(wanted) if sets().iter().any(|set| set.name() == wanted) => assert_eq!(isa().name(), wanted),
            _ => assert_eq!(isa(), detected()),
        }
        if cfg!(target_arch = "aarch64") {
            assert_eq!(detected(), Isa::Neon);
        }
    }
}
