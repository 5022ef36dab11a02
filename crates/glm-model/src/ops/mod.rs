//! Differentiable operations, one a file: each has a forward and a backward, and only this folder asks where tensors
//! live. Training code uses nothing else, besides candle's own `add`, `mul`, `matmul`, `tanh`, `narrow`, `reshape`,
//! `cat` and `index_select`, which have gradients.

mod arithmetic;
mod attention;
mod cross_entropy;
mod dropout;
mod frozen_linear;
mod gelu;
mod layer_norm;
mod output_loss;
mod rms_norm;
mod rope;
mod rounded;
mod swiglu;

pub use arithmetic::{add, add_scaled, seeded};
pub use attention::{Span, attention, attention_cached};
pub use cross_entropy::{cross_entropy, token_losses};
pub use dropout::{Dropout, dropout};
pub use frozen_linear::frozen_linear;
pub use gelu::gelu;
pub use glm_kernels::cpu::output_loss::scratch_bytes as output_loss_bytes;
pub use layer_norm::layer_norm;
pub use output_loss::{output_loss, output_losses};
pub use rms_norm::rms_norm;
pub(crate) use rope::{ROPE_BASE, frequencies};
pub use rope::{RopeTable, rope};
pub use rounded::rounded_to_bf16;
pub use swiglu::swiglu;

use candle_core::{CpuStorage, Device, Layout, Result, Shape, Storage, Tensor, bail};

/// The contiguous floats of an argument of a custom op.
fn floats<'a>(op: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("{op}: argument of shape {:?} is not contiguous", layout.shape()),
    }
}

/// Calls `work` with the floats of a tensor.
pub fn with_floats<R>(tensor: &Tensor, work: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(work(floats("read", storage, layout)?)),
        _ => bail!("this operation runs on the CPU only"),
    }
}

/// A CPU tensor from values.
pub fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &Device::Cpu)
}

#[cfg(test)]
mod tests;
