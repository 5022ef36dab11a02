//! A base model as Hugging Face publishes it.

use std::path::Path;

use glm_model::glm::layout;
use glm_model::weights::WeightFolder;
use glm_model::{DenseType, GlmConfig, Scheme};

use super::report::{Report, bytes, count};
use super::{tensors, vocabulary};

/// A base folder; `weights` is absent when they are missing or cannot be opened.
pub fn show(path: &Path, weights: Option<&WeightFolder>, report: &mut Report) -> anyhow::Result<()> {
    let config = match GlmConfig::read(path) {
        Ok(config) => config,
        Err(error) => {
            report.problem(error);
            return weights.map_or(Ok(()), |weights| tensors::show(path, weights, report));
        }
    };
    let c = &config;
    let tokenizer = vocabulary::of_folder(path, c.variant, c.vocab_size, report);
    let differences = weights.map(|weights| layout::differences(c, weights));
    let mut facts = vec![
        ("layers", c.num_layers.to_string()),
        ("width", format!("{}, inside the MLP {}", c.hidden_size, c.ffn_hidden_size)),
        ("heads", format!("{} of {}, {} for keys and values", c.num_attention_heads, c.head_dim, c.kv_groups)),
        ("vocabulary", format!("{} rows", c.vocab_size)),
        ("tokenizer", tokenizer),
        ("longest text", format!("{} tokens", c.seq_length)),
        ("weights", count(layout::parameter_count(c))),
    ];
    if let Some(weights) = weights {
        let form = match c.quantization_bit {
            Some(bits) => format!("INT{bits} (official, one scale a row); {}", tensors::stored_as(weights)),
            None => tensors::stored_as(weights),
        };
        facts.push(("stored as", form));
        facts.push(("files", tensors::files(weights)));
    } else if report.problems() == 0 {
        report.problem("the folder holds no weights");
    }
    if differences.as_ref().is_some_and(Vec::is_empty) {
        facts.push(("memory", memory(c)));
    }
    report.section(&format!("Base model, {}", c.variant.name()), &facts)?;
    let (Some(weights), Some(differences)) = (weights, differences) else { return Ok(()) };
    differences.iter().for_each(|line| report.problem(line.trim_start()));
    tensors::check_values(weights, report)
}

/// What the weights alone will take in memory in every form that they can be held in.
fn memory(c: &GlmConfig) -> String {
    let of = |scheme| bytes(layout::bytes(c, scheme, 2));
    let dense = Scheme::Dense { dtype: Some(DenseType::Bf16) };
    match c.quantization_bit {
        Some(4) => format!("{} as INT4", of(Scheme::Int4)),
        Some(_) => format!("{} as INT8", of(Scheme::Int8)),
        None => format!("{} as INT4, {} as INT8, {} in 16 bits", of(Scheme::Int4), of(Scheme::Int8), of(dense)),
    }
}
