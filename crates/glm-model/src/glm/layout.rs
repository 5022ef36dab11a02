//! The tensors that a network is made of, by their official names, and how they compare with what a folder holds.

use crate::config::GlmConfig;
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
        let [query_key_value, attention_out, mlp_in, mlp_out] = linears(c);
        let norm = |name: &str| (names::block(layer, &format!("{name}.weight")), vec![c.hidden_size]);
        let mut linear = |(module, [out, inner], bias): (&str, [usize; 2], bool)| {
            let name = names::block(layer, module);
            match c.quantization_bit {
                Some(bits) => {
                    tensors.push((format!("{name}.weight"), vec![out, inner * usize::from(bits) / 8]));
                    tensors.push((format!("{name}.weight_scale"), vec![out]));
                }
                None => tensors.push((format!("{name}.weight"), vec![out, inner])),
            }
            if bias {
                tensors.push((format!("{name}.bias"), vec![out]));
            }
        };
        linear(query_key_value);
        linear(attention_out);
        linear(mlp_in);
        linear(mlp_out);
        tensors.push(norm("input_layernorm"));
        tensors.push(norm("post_attention_layernorm"));
    }
    tensors.push((names::FINAL_NORM.to_string(), vec![c.hidden_size]));
    tensors.push((names::OUTPUT.to_string(), vec![c.vocab_size, c.hidden_size]));
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
