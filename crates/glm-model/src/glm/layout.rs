//! The tensors that a network is made of, by their official names, and how they compare with what a folder holds.

use crate::config::GlmConfig;
use crate::quant::Scheme;
use crate::variant::Names;
use crate::weights::WeightFolder;
use crate::{ModelError, Result, adapter};
use glm_data::Variant;
use std::collections::BTreeMap;

/// Most differences that one error lists.
const MOST_LISTED: usize = 40;
/// Module of the norm in front of attention.
pub(super) const INPUT_NORM: &str = "input_layernorm";
/// Module of the norm in front of the MLP.
pub(super) const POST_NORM: &str = "post_attention_layernorm";

/// Linear layers of a block in the order of the forward pass: name, `[out, in]`, whether there is a bias.
pub fn linears(c: &GlmConfig) -> [(&'static str, [usize; 2], bool); 4] {
    let attention = c.num_attention_heads * c.head_dim;
    let [query_key_value, attention_out, mlp_in, mlp_out] = Names::of(c.variant).linears;
    [
        (query_key_value, [c.fused_width(), c.hidden_size], c.qkv_bias),
        (attention_out, [c.hidden_size, attention], c.linear_bias),
        (mlp_in, [c.knobs.activation.width_before(c.ffn_hidden_size), c.hidden_size], c.linear_bias),
        (mlp_out, [c.hidden_size, c.ffn_hidden_size], c.linear_bias),
    ]
}

/// Names and shapes of all tensors that a folder of this configuration holds, in the order of the official files. A tied
/// output layer is the last; it may be missing.
pub fn tensors(c: &GlmConfig) -> Vec<(String, Vec<usize>)> {
    let names = Names::of(c.variant);
    let mut tensors = vec![(names.embedding.to_string(), vec![c.vocab_size, c.hidden_size])];
    for layer in 0..c.num_layers {
        let [query_key_value, attention_out, mlp_in, mlp_out] = linears(c).map(|linear| stored(c, layer, linear));
        tensors.extend(norm(c, &names.block(layer, INPUT_NORM)));
        tensors.extend(query_key_value.into_iter().chain(attention_out));
        tensors.extend(norm(c, &names.block(layer, POST_NORM)));
        tensors.extend(mlp_in.into_iter().chain(mlp_out));
    }
    tensors.extend(norm(c, names.final_norm));
    tensors.push((names.output.to_string(), vec![c.vocab_size, c.hidden_size]));
    tensors
}

/// The tensors of a norm.
fn norm(c: &GlmConfig, module: &str) -> impl Iterator<Item = (String, Vec<usize>)> {
    c.knobs.norm.parts().iter().map(move |part| (format!("{module}.{part}"), vec![c.hidden_size]))
}

/// Number of weights, as if nothing were stored quantized. Sizes that no memory could hold count as the largest number.
pub fn parameter_count(c: &GlmConfig) -> u64 {
    let product = |sizes: &[usize]| sizes.iter().fold(1u64, |n, size| n.saturating_mul(*size as u64));
    let linear = |(_, sizes, bias): (&str, [usize; 2], bool)| {
        product(&sizes).saturating_add(if bias { sizes[0] as u64 } else { 0 })
    };
    let norm = (c.knobs.norm.parts().len() * c.hidden_size) as u64;
    let block = linears(c).map(linear).into_iter().fold(2 * norm, u64::saturating_add);
    let tables = product(&[tables(c), c.vocab_size, c.hidden_size]);
    block.saturating_mul(c.num_layers as u64).saturating_add(tables).saturating_add(norm)
}

/// Bytes that the matrices of a network occupy when its linear layers are kept as `scheme` and `stored_bytes` is the size
/// of a stored element: what [`super::Network::bytes`] will say after loading.
pub fn bytes(c: &GlmConfig, scheme: Scheme, stored_bytes: usize) -> u64 {
    let block: u64 = linears(c).iter().map(|(_, sizes, _)| scheme.bytes(*sizes, stored_bytes)).sum();
    let table = Scheme::Dense { dtype: scheme.dense_type() }.bytes([c.vocab_size, c.hidden_size], stored_bytes);
    c.num_layers as u64 * block + tables(c) as u64 * table
}

/// Matrices over the vocabulary.
fn tables(c: &GlmConfig) -> usize {
    if c.knobs.tied_embeddings { 1 } else { 2 }
}

/// The tensors that one linear layer is stored as.
fn stored(
    c: &GlmConfig,
    layer: usize,
    (module, [out, inner], bias): (&str, [usize; 2], bool),
) -> Vec<(String, Vec<usize>)> {
    let name = |part: &str| Names::of(c.variant).block(layer, &format!("{module}.{part}"));
    let mut tensors = match c.quantization_bit {
        Some(bits) => {
            vec![(name("weight"), vec![out, inner * usize::from(bits) / 8]), (name("weight_scale"), vec![out])]
        }
        None => vec![(name("weight"), vec![out, inner])],
    };
    if bias {
        tensors.push((name("bias"), vec![out]));
    }
    tensors
}

/// Every difference between what the configuration needs and what is there, one line each: missing, of another shape,
/// unexpected.
pub fn differences(config: &GlmConfig, weights: &WeightFolder) -> Vec<String> {
    let held = weights.names().count();
    // A configuration may promise any number of layers; no list of that length is made unless the files could fill it.
    if config.num_layers > held {
        return vec![format!("  num_layers is {}, but there are only {held} tensors in all", config.num_layers)];
    }
    let names = Names::of(config.variant);
    let expected: BTreeMap<String, Vec<usize>> = tensors(config).into_iter().collect();
    let optional = |name: &str| config.knobs.tied_embeddings && name == names.output;
    let mut differences = Vec::new();
    for (name, shape) in &expected {
        match weights.entry(name) {
            None if optional(name) => {}
            None => differences.push(format!("  missing: {name}, expected {shape:?}")),
            Some(entry) if entry.shape != *shape => {
                differences.push(format!("  wrong shape: {name} is {:?}, expected {shape:?}", entry.shape));
            }
            Some(_) => {}
        }
    }
    for name in weights.names().filter(|n| !expected.contains_key(*n) && !names.ignored(n)) {
        let shape = weights.entry(name).map(|e| e.shape.clone()).unwrap_or_default();
        differences.push(format!("  unexpected: {name}, found {shape:?}"));
    }
    let more = differences.len().saturating_sub(MOST_LISTED);
    differences.truncate(MOST_LISTED);
    if more > 0 {
        differences.push(format!("  … and {more} more"));
    }
    differences
}

/// Refuses weights that do not fit the configuration, naming every tensor that does not.
pub(super) fn check(config: &GlmConfig, weights: &WeightFolder) -> Result<()> {
    adapter::refuse_as_base(weights)?;
    let problems = differences(config, weights);
    if problems.is_empty() {
        return Ok(());
    }
    let mut problems = problems.join("\n");
    if let Some(other) = other_variant(config, weights) {
        let (this, other) = (config.variant.name(), other.name());
        problems += &format!(
            "\n  config.json is one of {this}, but the weights are named as those of {other}; put the config.json beside \
             the weights that it was published with"
        );
    }
    Err(ModelError::Weights { path: weights.path().to_path_buf(), problems })
}

/// The variant whose tensor names a folder has, when they are not those of the configuration.
fn other_variant(config: &GlmConfig, weights: &WeightFolder) -> Option<Variant> {
    let holds = |variant: &Variant| weights.entry(Names::of(*variant).embedding).is_some();
    if holds(&config.variant) { None } else { Variant::ALL.into_iter().find(holds) }
}
