//! The demo of glmtune: generated text, its vocabulary and the recipe of its tiny base.
