//! `glmtune`: fine-tune, evaluate and chat with ChatGLM models.

fn main() {}
