//! The elementwise AdamW updates, rounded as PyTorch's CPU kernels round them.
//!
//! PyTorch computes scalars in f64, casts each to f32 and applies one tensor operation after the other. On a CPU with FMA
//! `lerp_`, `addcmul_` and `add_(alpha=)` end in a fused multiply-add; [`f32::mul_add`] is that on every machine, so the
//! result does not depend on the instruction set. Only the square root may differ, by one unit in the last place: PyTorch
//! takes MKL's, ours is correctly rounded.

use pulp::Arch;
use rayon::prelude::*;

/// Elements that one task handles: all four slices of it fit into a core's second-level cache.
const CHUNK: usize = 1 << 15;

/// One parameter's slices; all of one length.
pub(super) struct Slices<'a> {
    pub value: &'a mut [f32],
    pub grad: &'a [f32],
    pub exp_avg: &'a mut [f32],
    pub exp_avg_sq: &'a mut [f32],
}

/// What one step needs of the hyper-parameters, still in f64.
pub(super) struct Scalars {
    pub lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    /// 0 for parameters that do not decay.
    pub weight_decay: f64,
    /// Counted from 1.
    pub step: u64,
}

impl Scalars {
    fn corrections(&self) -> (f64, f64) {
        let step = self.step as f64;
        (1.0 - self.beta1.powf(step), 1.0 - self.beta2.powf(step))
    }
}

/// `torch.optim.AdamW`: p ← p(1 − lr·wd); p ← p − lr/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε).
pub(super) fn torch(s: Slices<'_>, k: &Scalars) {
    let (correction1, correction2) = k.corrections();
    let keep = (1.0 - k.lr * k.weight_decay) as f32;
    let (weight1, beta2, weight2) = ((1.0 - k.beta1) as f32, k.beta2 as f32, (1.0 - k.beta2) as f32);
    let (sqrt_correction2, eps) = (correction2.sqrt() as f32, k.eps as f32);
    let minus_size = -(k.lr / correction1) as f32;
    // `lerp_` works from the nearer end.
    let from_grad = weight1.abs() >= 0.5;
    for_each(s, |p, g, m, v| {
        *p *= keep;
        *m = if from_grad { (weight1 - 1.0).mul_add(g - *m, g) } else { weight1.mul_add(g - *m, *m) };
        *v = (weight2 * g).mul_add(g, *v * beta2);
        let denominator = v.sqrt() / sqrt_correction2 + eps;
        *p += minus_size * *m / denominator;
    });
}

/// transformers' `AdamW`: p ← p − lr·√(1−β₂ᵗ)/(1−β₁ᵗ) · m / (√v + ε); p ← p − lr·wd·p.
pub(super) fn hf(s: Slices<'_>, k: &Scalars) {
    let (correction1, correction2) = k.corrections();
    let (beta1, weight1) = (k.beta1 as f32, (1.0 - k.beta1) as f32);
    let (beta2, weight2) = (k.beta2 as f32, (1.0 - k.beta2) as f32);
    let eps = k.eps as f32;
    let minus_size = -(k.lr * (correction2.sqrt() / correction1)) as f32;
    let minus_decay = (-k.lr * k.weight_decay) as f32;
    for_each(s, |p, g, m, v| {
        *m = g.mul_add(weight1, *m * beta1);
        *v = (weight2 * g).mul_add(g, *v * beta2);
        *p += minus_size * *m / (v.sqrt() + eps);
        *p = p.mul_add(minus_decay, *p);
    });
}

/// Runs `update(value, gradient, exp_avg, exp_avg_sq)` on every element, on all threads, with the machine's widest vectors.
fn for_each(s: Slices<'_>, update: impl Fn(&mut f32, f32, &mut f32, &mut f32) + Sync) {
    let chunks = s
        .value
        .par_chunks_mut(CHUNK)
        .zip(s.grad.par_chunks(CHUNK))
        .zip(s.exp_avg.par_chunks_mut(CHUNK).zip(s.exp_avg_sq.par_chunks_mut(CHUNK)));
    chunks.for_each(|((value, grad), (exp_avg, exp_avg_sq))| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (((p, g), m), v) in value.iter_mut().zip(grad).zip(exp_avg).zip(exp_avg_sq) {
                    update(p, *g, m, v);
                }
            },
        );
    });
}
