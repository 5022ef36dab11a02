//! The tensors that a network is made of, by their official names, and how they compare with what a folder holds.

use crate::config::GlmConfig;
use crate::quant::Scheme;
use crate::variant::chatglm2::names;
use crate::weights::WeightFolder;
use crate::{ModelError, Result, adapter};
use std::collections::BTreeMap;

/// Most differences that one error lists.
const MOST_LISTED: usize = 40;

/// Linear layers of a block in the order of the forward pass: name, `[out, in]`, whether there is a bias.
pub fn linears(c: &GlmConfig) -> [(&'static str, [usize; 2], bool); 4] {
    let attention = c.num_attention_heads * c.head_dim;
    [
        ("self_attention.query_key_value", [c.fused_width(), c.hidden_size], c.qkv_bias),
        ("self_attention.dense", [c.hidden_size, attention], c.linear_bias),
        ("mlp.dense_h_to_4h", [2 * c.ffn_hidden_size, c.hidden_size], c.linear_bias),
        ("mlp.dense_4h_to_h", [c.hidden_size, c.ffn_hidden_size], c.linear_bias),
    ]
}

/// Names and shapes of all tensors that a folder of this configuration must hold, in the order of the official files.
pub fn tensors(c: &GlmConfig) -> Vec<(String, Vec<usize>)> {
    let mut tensors = vec![(names::EMBEDDING.to_string(), vec![c.vocab_size, c.hidden_size])];
    for layer in 0..c.num_layers {
        let norm = |name: &str| (names::block(layer, &format!("{name}.weight")), vec![c.hidden_size]);
        let [query_key_value, attention_out, mlp_in, mlp_out] = linears(c).map(|linear| stored(c, layer, linear));
        tensors.push(norm("input_layernorm"));
        tensors.extend(query_key_value.into_iter().chain(attention_out));
        tensors.push(norm("post_attention_layernorm"));
        tensors.extend(mlp_in.into_iter().chain(mlp_out));
    }
    tensors.push((names::FINAL_NORM.to_string(), vec![c.hidden_size]));
    tensors.push((names::OUTPUT.to_string(), vec![c.vocab_size, c.hidden_size]));
    tensors
}

/// Number of weights, as if nothing were stored quantized. Sizes that no memory could hold count as the largest number.
pub fn parameter_count(c: &GlmConfig) -> u64 {
    let product = |sizes: &[usize]| sizes.iter().fold(1u64, |n, size| n.saturating_mul(*size as u64));
    let linear = |(_, sizes, bias): (&str, [usize; 2], bool)| {
        product(&sizes).saturating_add(if bias { sizes[0] as u64 } else { 0 })
    };
    let block = linears(c).map(linear).into_iter().fold(2 * c.hidden_size as u64, u64::saturating_add);
    let tables = product(&[2, c.vocab_size, c.hidden_size]);
    block.saturating_mul(c.num_layers as u64).saturating_add(tables).saturating_add(c.hidden_size as u64)
}

/// Bytes that the matrices of a network occupy when its linear layers are kept as `scheme` and `stored_bytes` is the size
/// of a stored element: what [`super::Network::bytes`] will say after loading.
pub fn bytes(c: &GlmConfig, scheme: Scheme, stored_bytes: usize) -> u64 {
    let block: u64 = linears(c).iter().map(|(_, sizes, _)| scheme.bytes(*sizes, stored_bytes)).sum();
    let tables = Scheme::Dense { dtype: scheme.dense_type() };
    c.num_layers as u64 * block + 2 * tables.bytes([c.vocab_size, c.hidden_size], stored_bytes)
}

/// The tensors that one linear layer is stored as.
fn stored(
    c: &GlmConfig,
    layer: usize,
    (module, [out, inner], bias): (&str, [usize; 2], bool),
) -> Vec<(String, Vec<usize>)> {
    let name = |part: &str| names::block(layer, &format!("{module}.{part}"));
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
    let expected: BTreeMap<String, Vec<usize>> = tensors(config).into_iter().collect();
    let mut differences = Vec::new();
    for (name, shape) in &expected {
        match weights.entry(name) {
            None => differences.push(format!("  missing: {name}, expected {shape:?}")),
            Some(entry) if entry.shape != *shape => {
                differences.push(format!("  wrong shape: {name} is {:?}, expected {shape:?}", entry.shape));
            }
            Some(_) => {}
        }
    }
    for name in weights.names().filter(|n| !expected.contains_key(*n) && *n != names::IGNORED) {
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
    Err(ModelError::Weights { path: weights.path().to_path_buf(), problems: problems.join("\n") })
}
