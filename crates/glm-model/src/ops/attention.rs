//! Attention over a packed batch, with past rows in front of each segment.

use super::{floats, tensor, with_floats};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape as Dims, Tensor, bail};
use glm_kernels::cpu::attention::{self as kernel, Sequence, Shape};
use std::ops::Range;
use std::sync::Arc;

/// One segment of the batch and the past rows that it sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// First token.
    pub start: usize,
    /// Number of tokens.
    pub len: usize,
    /// Leading tokens that all see one another; 0 where every token sees only those before it.
    pub context: usize,
    /// Rows of the past tensor; empty when the segment has none.
    pub past: Range<usize>,
}

struct Attention {
    shape: Shape,
    spans: Arc<Vec<Span>>,
}

/// `qkv [T, fused]`, `past [R, key_value]` → `[T, heads * head_dim]`. Gradients flow into both.
///
/// # Errors
/// When a width or a span does not fit.
pub fn attention(qkv: &Tensor, past: Option<&Tensor>, shape: Shape, spans: &Arc<Vec<Span>>) -> Result<Tensor> {
    check(qkv, past, shape, spans)?;
    let op = Attention { shape, spans: Arc::clone(spans) };
    match past {
        Some(past) => qkv.contiguous()?.apply_op2(&past.contiguous()?, op),
        None => qkv.contiguous()?.apply_op1(op),
    }
}

/// As [`attention`], without gradient, over rows that were computed earlier: `caches[i]` holds those of segment `i`,
/// `[rows, key_value]`, and gets the new ones.
///
/// # Errors
/// As [`attention`].
pub fn attention_cached(
    qkv: &Tensor,
    past: Option<&Tensor>,
    shape: Shape,
    spans: &[Span],
    caches: &mut [&mut Vec<f32>],
) -> Result<Tensor> {
    check(qkv, past, shape, spans)?;
    if caches.len() != spans.len() {
        bail!("attention: {} caches for {} segments", caches.len(), spans.len());
    }
    let mut out = vec![0.0; qkv.dim(0)? * shape.out()];
    with_floats(qkv, |qkv| -> Result<()> {
        {
            let sequences: Vec<Sequence<'_>> =
                spans.iter().zip(caches.iter()).map(|(span, cache)| sequence(span, cache.as_slice())).collect();
            match past {
                Some(past) => with_floats(past, |past| kernel::forward(shape, qkv, past, &sequences, &mut out))?,
                None => kernel::forward(shape, qkv, &[], &sequences, &mut out),
            }
        }
        for (span, cache) in spans.iter().zip(caches.iter_mut()) {
            for row in qkv.chunks_exact(shape.fused()).skip(span.start).take(span.len) {
                cache.extend_from_slice(&row[shape.out()..]);
            }
        }
        Ok(())
    })??;
    tensor(out, (qkv.dim(0)?, shape.out()))
}

fn sequence<'a>(span: &Span, cache: &'a [f32]) -> Sequence<'a> {
    Sequence { start: span.start, len: span.len, context: span.context, prefix: span.past.clone(), cache }
}

fn check(qkv: &Tensor, past: Option<&Tensor>, shape: Shape, spans: &[Span]) -> Result<()> {
    let (tokens, width) = qkv.dims2()?;
    let rows = match past {
        Some(past) => {
            let (rows, width) = past.dims2()?;
            if width != shape.key_value() {
                bail!("attention: past rows have {width} values, expected {}", shape.key_value());
            }
            rows
        }
        None => 0,
    };
    let fits =
        |span: &Span| span.start + span.len <= tokens && span.past.end <= rows && span.past.start <= span.past.end;
    if width != shape.fused() || !spans.iter().all(fits) {
        bail!("attention: [{tokens}, {width}] with {rows} past rows does not fit {shape:?} and its segments");
    }
    Ok(())
}

impl Attention {
    fn sequences(&self) -> Vec<Sequence<'static>> {
        self.spans.iter().map(|span| sequence(span, &[])).collect()
    }

    fn forward(&self, qkv: &[f32], past: &[f32]) -> (CpuStorage, Dims) {
        let tokens = qkv.len() / self.shape.fused();
        let mut out = vec![0.0; tokens * self.shape.out()];
        kernel::forward(self.shape, qkv, past, &self.sequences(), &mut out);
        (CpuStorage::F32(out), Dims::from((tokens, self.shape.out())))
    }

    fn backward(&self, qkv: &Tensor, past: &[f32], grad: &Tensor) -> Result<(Tensor, Vec<f32>)> {
        let (mut dqkv, mut dpast) = (vec![0.0; qkv.elem_count()], vec![0.0; past.len()]);
        with_floats(qkv, |qkv| {
            with_floats(grad, |dout| {
                kernel::backward(self.shape, qkv, past, &self.sequences(), dout, &mut dqkv, &mut dpast);
            })
        })??;
        Ok((tensor(dqkv, qkv.shape().clone())?, dpast))
    }
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Dims)> {
        Ok(self.forward(floats("attention", storage, layout)?, &[]))
    }

    fn bwd(&self, qkv: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.backward(qkv, &[], grad)?.0))
    }
}

impl CustomOp2 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Dims)> {
        Ok(self.forward(floats("attention", s1, l1)?, floats("attention", s2, l2)?))
    }

    fn bwd(
        &self,
        qkv: &Tensor,
        past: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dqkv, dpast) = with_floats(past, |rows| self.backward(qkv, rows, grad))??;
        Ok((Some(dqkv), Some(tensor(dpast, past.shape().clone())?)))
    }
}
