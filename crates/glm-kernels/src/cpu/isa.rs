//! Which instruction set the kernels use: detected once, or forced by `GLM_ISA=scalar|avx2|avx512`.

use pulp::Arch;
use std::sync::OnceLock;

/// Instruction sets with kernels of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust.
    Scalar,
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
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

/// The best instruction set of this machine.
pub fn detected() -> Isa {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
        {
            return Isa::Avx512;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Isa::Avx2;
        }
    }
    Isa::Scalar
}

/// The instruction set in use. `GLM_ISA` can only lower it: a set that the machine lacks is never chosen.
pub fn isa() -> Isa {
    static ISA: OnceLock<Isa> = OnceLock::new();
    *ISA.get_or_init(|| {
        let best = detected();
        let wanted = match std::env::var("GLM_ISA").as_deref() {
            Ok("scalar") => Isa::Scalar,
            Ok("avx2") => Isa::Avx2,
            _ => Isa::Avx512,
        };
        wanted.min(best)
    })
}

/// The vectors that loops are compiled for under `isa`, narrower where the machine lacks a part of the set.
#[cfg(target_arch = "x86_64")]
pub(crate) fn vectors(isa: Isa) -> Arch {
    let avx2 = pulp::x86::V3::try_new().filter(|_| isa >= Isa::Avx2).map(Arch::V3);
    let avx512 = pulp::x86::V4::try_new().filter(|_| isa >= Isa::Avx512).map(Arch::V4);
    avx512.or(avx2).unwrap_or(Arch::Scalar)
}

/// The vectors that loops are compiled for.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn vectors(_isa: Isa) -> Arch {
    Arch::new()
}

/// Runs `work` compiled for the vectors of [`isa`]. Only what is inlined into it is: the closure needs
/// `#[inline(always)]`, and so do the functions it calls. Such code gives the same bits on every instruction set as long
/// as it sums in the lanes of [`super::lanes`]: the compiler neither reorders float sums nor fuses products by itself.
#[inline(always)]
pub(crate) fn widest<R>(work: impl FnOnce() -> R) -> R {
    static VECTORS: OnceLock<Arch> = OnceLock::new();
    VECTORS.get_or_init(|| vectors(isa())).dispatch(work)
}
