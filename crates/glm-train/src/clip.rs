//! Gradient clipping by the global norm, as `torch.nn.utils.clip_grad_norm_`.

use rayon::prelude::*;
use thiserror::Error;

/// Elements per partial sum; a constant, so that the sum does not depend on the number of threads.
const CHUNK: usize = 1 << 15;
const LANES: usize = 16;

/// A number that training cannot go on with.
#[derive(Debug, Clone, Error, PartialEq)]
#[error("{tensor}[{index}] is {value}, not a finite number")]
pub struct NonFinite {
    /// Name of the tensor.
    pub tensor: String,
    /// Index of the element in the flat tensor.
    pub index: usize,
    /// `NaN`, `inf` or `-inf`.
    pub value: f32,
}

/// The first element that is NaN or infinite, in the order of the tensors.
pub fn first_non_finite<'a>(tensors: impl IntoIterator<Item = (&'a str, &'a [f32])>) -> Option<NonFinite> {
    tensors.into_iter().find_map(|(name, values)| {
        // A branch-free pass over whole chunks is several times faster than asking each element in turn.
        let bad = |chunk: &[f32]| chunk.iter().fold(false, |bad, v| bad | !v.is_finite());
        let chunk = values.par_chunks(CHUNK).position_first(bad)?;
        let index = chunk * CHUNK + values[chunk * CHUNK..].iter().position(|v| !v.is_finite())?;
        Some(NonFinite { tensor: name.to_owned(), index, value: values[index] })
    })
}

/// Norm of all gradients together: the 2-norm of the tensors' 2-norms, each rounded to f32 (sums run in f64).
pub fn global_norm<'a>(grads: impl IntoIterator<Item = &'a [f32]>) -> f32 {
    let squares = grads.into_iter().map(|g| {
        let norm = square_sum(g).sqrt() as f32;
        f64::from(norm) * f64::from(norm)
    });
    squares.sum::<f64>().sqrt() as f32
}

fn square_sum(values: &[f32]) -> f64 {
    let partial: Vec<f64> = values
        .par_chunks(CHUNK)
        .map(|chunk| {
            let mut lanes = [0f64; LANES];
            for group in chunk.chunks(LANES) {
                for (lane, v) in lanes.iter_mut().zip(group) {
                    *lane += f64::from(*v) * f64::from(*v);
                }
            }
            lanes.iter().sum()
        })
        .collect();
    partial.iter().sum()
}

/// Scales all gradients by min(1, `max_norm` / (norm + 1e-6)) and returns the norm before. `max_norm` 0 only measures.
///
/// # Errors
/// The first element that is not finite; the gradients are then left as they are.
pub fn clip_grad_norm(grads: &mut [(&str, &mut [f32])], max_norm: f64) -> Result<f32, NonFinite> {
    if let Some(bad) = first_non_finite(grads.iter().map(|(name, g)| (*name, &**g))) {
        return Err(bad);
    }
    let norm = global_norm(grads.iter().map(|(_, g)| &**g));
    if max_norm > 0.0 {
        // torch divides a number by a tensor as reciprocal times number.
        let factor = (1.0 / (norm + 1e-6)) * max_norm as f32;
        if factor < 1.0 {
            for (_, g) in grads {
                g.par_chunks_mut(CHUNK).for_each(|chunk| chunk.iter_mut().for_each(|v| *v *= factor));
            }
        }
    }
    Ok(norm)
}
