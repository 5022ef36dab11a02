//! CPU kernels of glmtune: slices in, slices out.
