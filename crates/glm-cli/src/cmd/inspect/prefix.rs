//! A P-Tuning checkpoint: a folder with one or both of its files, or one of them alone.

use std::path::Path;

use glm_model::adapter::{self, PrefixFile};
use glm_model::weights::WeightFolder;
use glm_model::{GlmConfig, ModelError};

use super::report::{Report, count};
use super::tensors;

/// Published models by the width of a prefix row: layers, keys and values of one layer, names.
const PUBLISHED: [(usize, usize, &str); 3] = [
    (28, 512, "ChatGLM2-6B, ChatGLM3-6B"),
    (28, 8192, "ChatGLM-6B, the first generation"),
    (40, 512, "GLM-4-9B, which is not supported yet"),
];

/// Shows the prefix in `weights`, which lies at `path`.
pub fn show(path: &Path, weights: &WeightFolder, report: &mut Report) -> anyhow::Result<()> {
    let before = report.problems();
    let mut facts = vec![("stored as", tensors::stored_as(weights)), ("files", tensors::files(weights))];
    let values: u64 = weights.names().filter_map(|n| weights.get(n)).map(|t| t.len() as u64).sum();
    // What is not finite is counted below, tensor by tensor.
    match PrefixFile::open(weights.files().next().map_or(path, |(file, _)| file)) {
        Ok(prefix) => {
            let width = width(&prefix);
            facts.insert(0, ("pre_seq_len", prefix.pre_seq_len().to_string()));
            facts.insert(1, ("projection", if prefix.prefix_projection() { "yes" } else { "no" }.into()));
            facts.insert(2, ("trained weights", count(values)));
            match config(path, report) {
                Some(config) => {
                    let (layers, row) = (config.num_layers, config.key_value_width());
                    facts.insert(2, ("base", format!("{layers} layers × {row} keys and values (config.json)")));
                    check(&prefix, &config, report);
                }
                None => facts.insert(2, ("base", published(width))),
            }
        }
        Err(error) => report.problem(error),
    }
    report.section("P-Tuning prefix", &facts)?;
    let twin = path.join(adapter::SAFETENSORS_FILE);
    tensors::metadata(if twin.is_file() { &twin } else { path }, report)?;
    if twin.is_file() && report.problems() == before {
        compare(weights, &twin, report);
    }
    tensors::check_values(weights, report)
}

/// Keys and values of one position in all layers.
fn width(prefix: &PrefixFile) -> usize {
    let shape = |part: &str| prefix.shapes().find(|(name, _)| name.ends_with(part)).map(|(_, shape)| shape);
    let last = |shape: &[usize]| shape.last().copied();
    match shape("trans.2.bias") {
        Some(shape) => last(shape).unwrap_or(0),
        None => shape("embedding.weight").and_then(last).unwrap_or(0),
    }
}

fn published(width: usize) -> String {
    match PUBLISHED.iter().find(|(layers, row, _)| layers * row == width) {
        Some((layers, row, names)) => format!("{layers} layers × {row} keys and values: {names}"),
        None => format!("one whose layers have {width} keys and values in all; no published model does"),
    }
}

/// The configuration beside a checkpoint, which is of the base it was trained on.
fn config(path: &Path, report: &mut Report) -> Option<GlmConfig> {
    if !path.join("config.json").is_file() {
        return None;
    }
    GlmConfig::read(path).map_err(|error| report.problem(error)).ok()
}

/// What the configuration says must be what the tensors are.
fn check(prefix: &PrefixFile, config: &GlmConfig, report: &mut Report) {
    let length = config.raw.get("pre_seq_len").and_then(serde_json::Value::as_u64).map(|n| n as usize);
    let projection = config.raw.get("prefix_projection").and_then(serde_json::Value::as_bool);
    if let Err(error) = prefix.load(config, None, None) {
        report.problem(error);
    }
    if let Some(said) = length.filter(|said| *said != prefix.pre_seq_len()) {
        report.problem(format!("config.json says pre_seq_len {said}, the tensors have {}", prefix.pre_seq_len()));
    }
    if let Some(said) = projection.filter(|said| *said != prefix.prefix_projection()) {
        report.problem(format!("config.json says prefix_projection {said}, the tensors are of the other kind"));
    }
}

/// The two files of a checkpoint hold the same prefix.
fn compare(weights: &WeightFolder, twin: &Path, report: &mut Report) {
    let same = |other: &WeightFolder| {
        let equal = |name: &str| match (weights.get(name), other.get(name)) {
            (Some(a), Some(b)) => a.shape == b.shape && a.all_f32() == b.all_f32(),
            _ => false,
        };
        weights.names().eq(other.names()) && weights.names().all(equal)
    };
    match WeightFolder::open(twin) {
        Ok(other) if same(&other) => {}
        Ok(_) => {
            report.problem(ModelError::file(twin, "it holds another prefix than the other file of the checkpoint"))
        }
        Err(error) => report.problem(error),
    }
}
