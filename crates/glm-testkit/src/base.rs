//! A small random base in the official ChatGLM2 layout, for tests that need a folder that goes with a real vocabulary.

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::Path;

const HIDDEN: usize = 32;
const LAYERS: usize = 2;
const HEADS: usize = 4;
const GROUPS: usize = 2;
const HEAD_DIM: usize = 8;
const FFN: usize = 64;

/// Writes `config.json` and `model.safetensors` (f32) with a vocabulary of `vocab` rows into `folder`. The same seed gives
/// the same weights.
///
/// # Panics
/// When the folder cannot be written.
pub fn write_random_base(folder: &Path, vocab: usize, seed: u64) {
    let config = serde_json::json!({
        "model_type": "chatglm", "padded_vocab_size": vocab, "hidden_size": HIDDEN, "num_layers": LAYERS,
        "num_attention_heads": HEADS, "multi_query_attention": true, "multi_query_group_num": GROUPS,
        "kv_channels": HEAD_DIM, "ffn_hidden_size": FFN, "seq_length": 512, "layernorm_epsilon": 1e-5, "rmsnorm": true,
        "post_layer_norm": true, "apply_residual_connection_post_layernorm": false, "add_bias_linear": false,
        "add_qkv_bias": true, "eos_token_id": 2, "pad_token_id": 0,
    });
    std::fs::write(folder.join("config.json"), config.to_string()).expect("the folder is writable");
    let mut state = seed;
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = shapes(vocab)
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            let norm = name.contains("layernorm");
            let value = |state: &mut u64| if norm { 1.0f32 } else { 0.4 * uniform(state) };
            let bytes = (0..count).flat_map(|_| value(&mut state).to_le_bytes()).collect();
            (name, shape, bytes)
        })
        .collect();
    let view = |shape: &Vec<usize>, bytes| TensorView::new(Dtype::F32, shape.clone(), bytes).expect("sizes agree");
    let views: Vec<_> = tensors.iter().map(|(name, shape, bytes)| (name.as_str(), view(shape, bytes))).collect();
    let file = safetensors::serialize(views, None).expect("names are unique");
    std::fs::write(folder.join("model.safetensors"), file).expect("the folder is writable");
}

fn shapes(vocab: usize) -> Vec<(String, Vec<usize>)> {
    let fused = (HEADS + 2 * GROUPS) * HEAD_DIM;
    let mut shapes = vec![
        ("transformer.embedding.word_embeddings.weight".to_string(), vec![vocab, HIDDEN]),
        ("transformer.encoder.final_layernorm.weight".to_string(), vec![HIDDEN]),
        ("transformer.output_layer.weight".to_string(), vec![vocab, HIDDEN]),
    ];
    for layer in 0..LAYERS {
        for (module, shape) in [
            ("input_layernorm.weight", vec![HIDDEN]),
            ("self_attention.query_key_value.weight", vec![fused, HIDDEN]),
            ("self_attention.query_key_value.bias", vec![fused]),
            ("self_attention.dense.weight", vec![HIDDEN, HEADS * HEAD_DIM]),
            ("post_attention_layernorm.weight", vec![HIDDEN]),
            ("mlp.dense_h_to_4h.weight", vec![2 * FFN, HIDDEN]),
            ("mlp.dense_4h_to_h.weight", vec![HIDDEN, FFN]),
        ] {
            shapes.push((format!("transformer.encoder.layers.{layer}.{module}"), shape));
        }
    }
    shapes
}

/// Uniform in ±1, by a 64-bit congruential generator (Knuth's MMIX constants).
fn uniform(state: &mut u64) -> f32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
}
