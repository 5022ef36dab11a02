//! Names, shapes and types that llama.cpp expects for a ChatGLM2 or ChatGLM3 model.

use super::types::{BLOCK, GgufType, TensorType};
use crate::export::source::TensorSource;
use crate::export::write::tensor_error;
use crate::glm::layout;
use crate::{GlmConfig, Result};

/// Name of the output layer in GGUF.
const OUTPUT: &str = "output.weight";

/// One tensor of a GGUF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GgufTensor {
    /// Name in the file.
    pub name: String,
    /// Name in the base.
    pub official: String,
    /// Shape, row-major: the file lists it the other way round.
    pub shape: Vec<usize>,
    /// How it is kept.
    pub kind: TensorType,
}

impl GgufTensor {
    pub(super) fn bytes(&self) -> u64 {
        self.kind.bytes(self.shape.iter().product())
    }
}

/// All tensors, matrices kept as `kind` where their rows allow it.
pub(super) fn plan(source: &dyn TensorSource, kind: GgufType) -> Result<Vec<GgufTensor>> {
    let config = GlmConfig { quantization_bit: None, ..source.config().clone() };
    let mut plan = Vec::new();
    for (official, expected) in layout::tensors(&config) {
        let shape = source.describe(&official)?.shape;
        if shape != expected {
            return Err(tensor_error(&official)(format!("its shape is {shape:?}, expected {expected:?}")));
        }
        let name = name(&official).ok_or_else(|| tensor_error(&official)("llama.cpp has no place for it".into()))?;
        let kind = tensor_type(&name, &shape, kind);
        plan.push(GgufTensor { name, official, shape, kind });
    }
    Ok(plan)
}

/// Vectors are f32. Matrices whose rows are no whole blocks fall back to f16, as in llama.cpp's own quantization. In a
/// q4_0 file the output layer is q8_0: it is small, and every token depends on it.
fn tensor_type(name: &str, shape: &[usize], kind: GgufType) -> TensorType {
    let row = shape.last().copied().unwrap_or(0);
    match kind.tensor_type() {
        _ if shape.len() < 2 => TensorType::F32,
        TensorType::Q4_0 | TensorType::Q8_0 if !row.is_multiple_of(BLOCK) => TensorType::F16,
        TensorType::Q4_0 if name == OUTPUT => TensorType::Q8_0,
        kind => kind,
    }
}

/// What the user should know of the types that were chosen.
pub(super) fn remarks(plan: &[GgufTensor], kind: GgufType) -> Vec<String> {
    let half = |tensor: &&GgufTensor| kind != GgufType::F16 && tensor.kind == TensorType::F16;
    let names: Vec<&str> = plan.iter().filter(half).map(|tensor| tensor.name.as_str()).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let (count, some) = (names.len(), names[..names.len().min(4)].join(", "));
    vec![format!("{count} matrices are kept as f16, their rows being no multiple of {BLOCK} values ({some}, …)")]
}

/// The name in GGUF of a tensor of the official folder.
fn name(official: &str) -> Option<String> {
    let name = official.strip_prefix("transformer.")?;
    let whole = match name {
        "embedding.word_embeddings.weight" => "token_embd.weight",
        "encoder.final_layernorm.weight" => "output_norm.weight",
        "output_layer.weight" => OUTPUT,
        _ => {
            let (layer, part) = name.strip_prefix("encoder.layers.")?.split_once('.')?;
            let part = match part {
                "input_layernorm.weight" => "attn_norm.weight",
                "self_attention.query_key_value.weight" => "attn_qkv.weight",
                "self_attention.query_key_value.bias" => "attn_qkv.bias",
                "self_attention.dense.weight" => "attn_output.weight",
                "post_attention_layernorm.weight" => "ffn_norm.weight",
                // Gate and up projection stay one matrix.
                "mlp.dense_h_to_4h.weight" => "ffn_up.weight",
                "mlp.dense_4h_to_h.weight" => "ffn_down.weight",
                _ => return None,
            };
            return Some(format!("blk.{layer}.{part}"));
        }
    };
    Some(whole.into())
}
