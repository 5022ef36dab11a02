//! Kernels for CPUs, one folder or file an operation.

pub mod attention;
pub mod cross_entropy;
pub mod frozen;
pub mod gelu;
pub mod gemm;
pub mod isa;
mod lanes;
pub mod layer_norm;
pub mod machine;
mod math;
pub mod output_loss;
pub mod quantize;
pub mod rms_norm;
pub mod rope;
pub mod swiglu;
pub mod unpack;
