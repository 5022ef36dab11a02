//! CPU kernels of glmtune: slices in, slices out.
//!
//! Shape legend: `T` tokens, `out`/`in` rows and columns of a weight, all matrices row-major but for frozen INT4,
//! whose rows may be interleaved ([`cpu::frozen::Packed`]). Nothing here knows tensors, files or models. Lengths are checked with `assert!`: a wrong length is a bug of the caller.

pub mod cpu;
