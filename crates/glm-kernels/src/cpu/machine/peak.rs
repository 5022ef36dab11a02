#![allow(unsafe_code)]
//! Most operations a second: multiplications with additions on values that never leave the registers, on every thread of
//! the pool. A multiplication and an addition count as two.

use crate::cpu::isa::{Isa, detected};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Sums that are in flight: two units with a latency of four cycles, or fewer, are never idle.
const SUMS: usize = 16;
/// Rounds between two looks at the clock.
const ROUNDS: usize = 5_000;

/// Operations a second in f32, by the widest instruction set of the machine, whatever the kernels use.
pub fn f32_peak(time: Duration) -> f64 {
    match detected() {
        // SAFETY: the machine has AVX-512 F, as detected.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => on_all_threads(time, 16 * 2, || unsafe { x86::avx512_f32() }),
        // SAFETY: the machine has AVX2 and FMA, as detected.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => on_all_threads(time, 8 * 2, || unsafe { x86::avx2_f32() }),
        // SAFETY: the machine has NEON, as detected.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => on_all_threads(time, 4 * 2, || unsafe { neon::f32() }),
        _ => on_all_threads(time, LANES as u64 * 2, plain),
    }
}

/// Operations a second of products of bfloat16 with sums in f32; `None` without instructions for them.
pub fn bf16_peak(time: Duration) -> Option<f64> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16") {
        // SAFETY: the machine has AVX-512 F and BF16, as just asked.
        return Some(on_all_threads(time, 16 * 4, || unsafe { x86::avx512_bf16() }));
    }
    let _ = time;
    None
}

/// Operations a second of products of bytes with exact sums; `None` without instructions for them.
pub fn int8_peak(time: Duration) -> Option<f64> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
        // SAFETY: the machine has AVX-512 F and VNNI, as just asked.
        return Some(on_all_threads(time, 16 * 8, || unsafe { x86::avx512_int8() }));
    }
    let _ = time;
    None
}

/// How often the threads start together. The best counts, so that another program's turn on a processor does not.
const STARTS: u32 = 40;

/// Operations a second when every thread repeats `rounds`, which makes [`ROUNDS`] times [`SUMS`] steps of `each` operations.
fn on_all_threads(time: Duration, each: u64, rounds: impl Fn() + Sync) -> f64 {
    let rate = |_: rayon::BroadcastContext<'_>| {
        let began = Instant::now();
        let mut done = 0u64;
        while done == 0 || began.elapsed() < time / STARTS {
            rounds();
            done += 1;
        }
        (done * (ROUNDS * SUMS) as u64 * each) as f64 / began.elapsed().as_secs_f64().max(1e-9)
    };
    (0..STARTS).map(|_| rayon::broadcast(rate).into_iter().sum()).fold(0.0, f64::max)
}

/// Values of a step without vectors by name: what the compiler makes of it is what the machine's plain code can do.
const LANES: usize = 4;

fn plain() {
    let (factor, addend) = (black_box([0.5f32; LANES]), black_box([1.0f32; LANES]));
    let mut sums = black_box([[0.0f32; LANES]; SUMS]);
    for _ in 0..ROUNDS {
        for sum in &mut sums {
            for (lane, value) in sum.iter_mut().enumerate() {
                *value = *value * factor[lane] + addend[lane];
            }
        }
    }
    black_box(sums);
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use super::{ROUNDS, SUMS};
    use std::arch::aarch64::{vdupq_n_f32, vfmaq_f32};
    use std::hint::black_box;

    /// # Safety
    /// The machine has NEON.
    #[target_feature(enable = "neon")]
    pub(super) unsafe fn f32() {
        let factor = vdupq_n_f32(black_box(0.5));
        // The instruction overwrites what is added to: the sums stand there, and what is multiplied never changes.
        let mut sums = [vdupq_n_f32(black_box(0.0)); SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = vfmaq_f32(*sum, factor, factor);
            }
        }
        black_box(sums);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{ROUNDS, SUMS};
    use std::arch::x86_64::{
        __m512bh, __m512i, _mm256_fmadd_ps, _mm256_set1_ps, _mm512_dpbf16_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps,
        _mm512_set1_epi32, _mm512_set1_ps,
    };
    use std::hint::black_box;

    /// # Safety
    /// The machine has AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2_f32() {
        let (factor, addend) = (_mm256_set1_ps(black_box(0.5)), _mm256_set1_ps(black_box(1.0)));
        // With sixteen registers in all, fourteen are left for sums; a group of eight is enough for two units.
        for _ in 0..SUMS / 8 {
            let mut sums = [_mm256_set1_ps(black_box(0.0)); 8];
            for _ in 0..ROUNDS {
                for sum in &mut sums {
                    *sum = _mm256_fmadd_ps(*sum, factor, addend);
                }
            }
            black_box(sums);
        }
    }

    /// # Safety
    /// The machine has AVX-512 F.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn avx512_f32() {
        let (factor, addend) = (_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(1.0)));
        let mut sums = [_mm512_set1_ps(black_box(0.0)); SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, factor, addend);
            }
        }
        black_box(sums);
    }

    /// # Safety
    /// The machine has AVX-512 F and BF16.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) unsafe fn avx512_bf16() {
        let ones = _mm512_set1_epi32(black_box(0x3f80_3f80));
        // SAFETY: both are 64 bytes without any invalid pattern.
        let ones = unsafe { std::mem::transmute::<__m512i, __m512bh>(ones) };
        let mut sums = [_mm512_set1_ps(black_box(0.0)); SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, ones, ones);
            }
        }
        black_box(sums);
    }

    /// # Safety
    /// The machine has AVX-512 F and VNNI.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) unsafe fn avx512_int8() {
        let ones = _mm512_set1_epi32(black_box(0x0101_0101));
        let mut sums = [_mm512_set1_epi32(black_box(0)); SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, ones, ones);
            }
        }
        black_box(sums);
    }
}
