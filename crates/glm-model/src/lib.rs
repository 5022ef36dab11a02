//! The ChatGLM network, its weights, quantization and adapters.
