//! Sums that run on the project's own threads, and the seed of a backward pass.

use super::{floats, tensor, with_floats};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

struct Add {
    factor: f32,
}

/// `a + b`, of the same shape.
///
/// # Errors
/// When shapes differ.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    add_scaled(a, 1.0, b)
}

/// `factor · a + b`, of the same shape.
///
/// # Errors
/// When shapes differ.
pub fn add_scaled(a: &Tensor, factor: f32, b: &Tensor) -> Result<Tensor> {
    a.contiguous()?.apply_op2(&b.contiguous()?, Add { factor })
}

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        if l1.shape() != l2.shape() {
            bail!("add: {:?} and {:?}", l1.shape(), l2.shape());
        }
        let (a, b) = (floats("add", s1, l1)?, floats("add", s2, l2)?);
        let mut y = vec![0.0; a.len()];
        let (chunk, factor) = (1 << 14, self.factor);
        y.par_chunks_mut(chunk).zip(a.par_chunks(chunk)).zip(b.par_chunks(chunk)).for_each(|((y, a), b)| {
            y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = factor * a + b);
        });
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn bwd(&self, _a: &Tensor, _b: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let first = if self.factor == 1.0 { grad.clone() } else { scaled(grad, self.factor)? };
        Ok((Some(first), Some(grad.clone())))
    }
}

struct Seeded(Tensor);

/// A scalar whose backward pass starts at `y` with the given gradient: what `(y * gradient).sum()` would do, without
/// computing it. Its value is 0.
///
/// # Errors
/// When shapes differ.
pub fn seeded(y: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    if y.shape() != gradient.shape() {
        bail!("seeded: {:?} and {:?}", y.shape(), gradient.shape());
    }
    y.contiguous()?.apply_op1(Seeded(gradient.detach()))
}

impl CustomOp1 for Seeded {
    fn name(&self) -> &'static str {
        "seeded"
    }

    fn cpu_fwd(&self, _storage: &CpuStorage, _layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(())))
    }

    fn bwd(&self, _arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let scale = grad.to_scalar::<f32>()?;
        if scale == 1.0 {
            return Ok(Some(self.0.clone()));
        }
        Ok(Some(scaled(&self.0, scale)?))
    }
}

fn scaled(x: &Tensor, factor: f32) -> Result<Tensor> {
    tensor(with_floats(x, |x| x.par_iter().map(|v| v * factor).collect())?, x.shape().clone())
}
