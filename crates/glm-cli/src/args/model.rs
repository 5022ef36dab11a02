//! Keys of the base model and its adapter: the official `ModelArguments`, and our own beside them.

use std::path::PathBuf;

use super::keys::keys;
use super::types::{BaseDtype, Bits, ComputeIn, Group};
use crate::config::quantized_cache::QuantizedCache;

keys! {
    /// The official `ModelArguments`, the same in ChatGLM-6B and ChatGLM2-6B.
    pub struct ModelArgs in "Model";

    /// Folder of the base model, as published on Hugging Face, or its name there, as THUDM/chatglm2-6b: what the
    /// cache (HF_HOME) lacks of it is downloaded (from HF_ENDPOINT, with HF_TOKEN)
    model_name_or_path: Option<PathBuf> = None;
    /// Folder of a trained prefix: to evaluate it, to chat with it, or to train it further
    ptuning_checkpoint: Option<PathBuf> = None;
    /// Hold the base in INT8 or INT4, by the official scheme (one scale a row)
    quantization_bit: Option<Bits> = None;
    /// Number of trained prefix positions that stand before every text. It is not the output length: answers do
    /// not get longer with it. 128 is usual; a checkpoint knows its own
    pre_seq_len: Option<usize> = None;
    /// Compute the prefix by a small two-layer network instead of learning it directly
    prefix_projection: bool = false;
    /// Folder for downloaded models (default: HF_HUB_CACHE, or hub in HF_HOME, as in Python)
    cache_dir: Option<PathBuf> = None;
    /// Refuse to download without a token (HF_TOKEN, or that of a login). One that is there is sent in any case
    use_auth_token: bool = false;
    /// Other folder for config.json
    config_name: Option<String> = None, unused "the official main.py never reads it; config.json is taken from the base folder";
    /// Other folder for the tokenizer
    tokenizer_name: Option<String> = None, unused "the official main.py never reads it; the tokenizer is taken from the base folder";
    /// Use a fast tokenizer
    use_fast_tokenizer: bool = true, unused "the tokenizer is built in, and there is only one";
    /// Branch or commit of a downloaded model
    model_revision: String = "main".into();
    /// Enlarge the position table
    resize_position_embeddings: Option<bool> = None, unused "the official main.py never reads it; ChatGLM's positions are rotary and have no table";
}

keys! {
    /// Our own keys of the base.
    pub struct BaseArgs in "Model, additions";

    /// With --quantization_bit 4 or --output_layer_bit 4: one scale for every 32 or 64 columns instead of one a row. More exact than the
    /// official scheme, slightly larger
    quantization_group: Option<Group> = None;
    /// With --quantization_bit over a base in floats: where its quantized form is kept, so that the next start takes seconds.
    /// auto: glmtune/quantized in XDG_CACHE_HOME (default: ~/.cache), for forms of 500 MB or more; off: nowhere
    quantized_cache: QuantizedCache = QuantizedCache::Auto;
    /// Hold the output layer in INT8 or INT4 too (--quantization_group counts). It is read for every token, and the official
    /// scheme leaves it in half precision, as large as several layers in INT4: answers come faster and memory shrinks,
    /// logits are less exact
    output_layer_bit: Option<Bits> = None;
    /// Number format in which a base without --quantization_bit is held; auto: as in its files
    base_dtype: BaseDtype = BaseDtype::Auto;
    /// Numbers in which products with frozen weights are made, with sums in f32: bf16 (rounded to 8 significant bits; 2 to 4
    /// times as fast), f32, or int8 (7 bits of the largest of 512 values; faster again, and less exact); auto: bf16 where the
    /// processor has instructions for it (AVX512_BF16), never int8
    compute: ComputeIn = ComputeIn::Auto;
    /// Download nothing: a model that is given by its name must be in the cache. HF_HUB_OFFLINE=1 says the same
    offline: bool = false;
    /// Threads to compute with (default: one a core)
    threads: Option<usize> = None;
}
