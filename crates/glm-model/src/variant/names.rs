//! Where the tensors of a variant are found in a folder.

use glm_data::Variant;

/// Tensor names of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    /// Embedding, `[vocab, hidden]`.
    pub embedding: &'static str,
    /// The module of the last norm.
    pub final_norm: &'static str,
    /// Output layer, `[vocab, hidden]`; where it is tied to the embedding, a copy that may be missing.
    pub output: &'static str,
    /// Frequencies of the rotary positions: stored, never read, as they are computed. Without the path of the block where
    /// every block has its own.
    pub frequencies: &'static str,
    /// Path in front of a block's number.
    blocks: &'static str,
    /// The four linear layers of a block, in the order of the forward pass.
    pub linears: [&'static str; 4],
}

static CHATGLM: Names = Names {
    embedding: "transformer.word_embeddings.weight",
    final_norm: "transformer.final_layernorm",
    output: "lm_head.weight",
    frequencies: "attention.rotary_emb.inv_freq",
    blocks: "transformer.layers.",
    linears: ["attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"],
};

static CHATGLM2: Names = Names {
    embedding: "transformer.embedding.word_embeddings.weight",
    final_norm: "transformer.encoder.final_layernorm",
    output: "transformer.output_layer.weight",
    frequencies: "transformer.rotary_pos_emb.inv_freq",
    blocks: "transformer.encoder.layers.",
    linears: ["self_attention.query_key_value", "self_attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"],
};

impl Names {
    /// Those of a variant.
    pub fn of(variant: Variant) -> &'static Self {
        match variant {
            Variant::ChatGlm => &CHATGLM,
            Variant::ChatGlm2 | Variant::ChatGlm3 => &CHATGLM2,
        }
    }

    /// A module of block `layer`.
    pub fn block(&self, layer: usize, module: &str) -> String {
        format!("{}{layer}.{module}", self.blocks)
    }

    /// Whether every block stores frequencies of its own.
    pub fn frequencies_in_blocks(&self) -> bool {
        !self.frequencies.starts_with("transformer.")
    }

    /// Whether a tensor is stored but never read.
    pub fn ignored(&self, name: &str) -> bool {
        if !self.frequencies_in_blocks() {
            return name == self.frequencies;
        }
        let rest = name.strip_prefix(self.blocks).and_then(|rest| rest.strip_suffix(self.frequencies));
        rest.and_then(|layer| layer.strip_suffix('.')).is_some_and(|layer| layer.parse::<usize>().is_ok())
    }
}
