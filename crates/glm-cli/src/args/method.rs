//! Keys of what trains: a prefix, LoRA, or the weights themselves.

use std::path::{Path, PathBuf};

use super::keys::keys;
use super::types::Method;
use crate::config::adapter::Files;

keys! {
    /// Files of a trained adapter, beside the official `--ptuning_checkpoint`.
    pub struct AdapterArgs in "Model, additions";

    /// Begin with a trained adapter instead of a fresh one, or use it: a prefix or LoRA, in any layout. Its kind and its
    /// sizes are read from the files
    init_from: Option<PathBuf> = None;
    /// Folder of a trained LoRA adapter, as peft writes it: to evaluate it, to chat with it, or to train it further
    lora_checkpoint: Option<PathBuf> = None;
}

impl AdapterArgs {
    /// All flags that name files of an adapter.
    pub fn files<'a>(&'a self, ptuning: Option<&'a Path>) -> Files<'a> {
        Files { ptuning, lora: self.lora_checkpoint.as_deref(), any: self.init_from.as_deref() }
    }
}

keys! {
    /// Keys of the method, apart from the prefix's, which belong to the official `ModelArguments`.
    pub struct MethodArgs in "Method";

    /// What trains: a prefix (ptuning), lora, all weights (full), or the last layers (freeze). Told from the other keys
    /// when it is absent: --pre_seq_len means ptuning, any --lora_ key means lora, neither means full, as officially
    method: Option<Method> = None;
    /// Rank of the two factors
    lora_rank: usize = 8;
    /// The product of the factors is scaled by alpha / rank
    lora_alpha: f64 = 32.0;
    /// Dropout on the input of the factors in training
    lora_dropout: f32 = 0.05;
    /// Linear layers that get factors, separated by commas: query_key_value, dense, dense_h_to_4h, dense_4h_to_h; or
    /// all-linear
    lora_target: String = "query_key_value".into();
    /// Scale by alpha / √rank instead
    use_rslora: bool = false;
    /// With --method freeze: so many of the last layers train
    num_layer_trainable: usize = 3;
}
