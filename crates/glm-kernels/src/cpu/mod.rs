//! Kernels for CPUs, one folder or file an operation.

pub mod attention;
pub mod cross_entropy;
pub mod frozen;
pub mod gelu;
pub mod gemm;
pub mod isa;
pub mod layer_norm;
pub mod machine;
pub mod rms_norm;
pub mod rope;
pub mod swiglu;
pub mod unpack;
