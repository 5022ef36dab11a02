//! Rows of the goldens, and one step over them.

use candle_core::Var;
use glm_data::{IGNORE_INDEX, Positions, TrainRow, Variant};
use glm_model::{LoadOptions, Network, Scheme};
use glm_testkit::{Golden, fixture};
use glm_train::optim::{AdamW, Norms, ParamSlice, decays};
use glm_train::step::{Gradients, StepOptions};
use serde_json::Value;

/// The fixtures of the three variants.
pub const FOLDERS: [&str; 3] = ["glm1-tiny", "glm2-tiny", "glm3-tiny"];

/// A network as its folder has it.
pub fn network(folder: &str) -> Network {
    network_as(folder, Scheme::Dense { dtype: None })
}

/// A network with linear layers of a scheme.
pub fn network_as(folder: &str, scheme: Scheme) -> Network {
    let options = LoadOptions { scheme, ..LoadOptions::default() };
    Network::load(&fixture(folder), options, &mut |_, _| {}).unwrap()
}

/// What the official model makes of a row: ChatGLM-6B finds the end of the context and the mask token in it.
fn positions(network: &Network, ids: &[u32]) -> Positions {
    let config = network.config();
    if config.variant != Variant::ChatGlm {
        return Positions::Linear;
    }
    let place = |key: &str| {
        let id = config.raw[key].as_u64().unwrap();
        ids.iter().position(|i| u64::from(*i) == id)
    };
    let mask_position = place("gmask_token_id").or_else(|| place("mask_token_id")).unwrap();
    Positions::Block { context_len: place("bos_token_id").unwrap(), mask_position }
}

/// Rows of padded ids and labels without the padding on the right, which carries no label.
pub fn rows(network: &Network, golden: &Golden, prefix: &str) -> Vec<TrainRow> {
    let ids = golden.integer_rows(&format!("{prefix}.input_ids"));
    let labels = golden.integer_rows(&format!("{prefix}.labels"));
    ids.iter()
        .zip(&labels)
        .enumerate()
        .map(|(source, (ids, labels))| {
            let len = labels.iter().rposition(|l| *l != IGNORE_INDEX).map_or(ids.len(), |last| last + 1);
            let ids: Vec<u32> = ids[..len].iter().map(|i| *i as u32).collect();
            TrainRow {
                positions: positions(network, &ids),
                ids,
                labels: labels[..len].to_vec(),
                context_len: labels.iter().position(|l| *l != IGNORE_INDEX).unwrap_or(0),
                source,
            }
        })
        .collect()
}

/// All blocks kept.
pub fn options(network: &Network, scale: f64) -> StepOptions {
    StepOptions { kept_blocks: network.config().num_layers, scale, step: 1 }
}

/// A noise floor of a golden.
pub fn floor(meta: &Value, path: &[&str]) -> f32 {
    let value = path.iter().fold(meta, |v, key| &v[key]);
    value.as_f64().unwrap_or_else(|| panic!("no {path:?}")) as f32
}

/// One optimizer step.
pub fn update(
    network: &Network,
    optimizer: &mut AdamW,
    parameters: &[(String, Var)],
    gradients: &Gradients,
    rate: f64,
) {
    let norms = Norms::from(network.config().knobs.norm);
    let mut values: Vec<Vec<f32>> =
        parameters.iter().map(|(_, var)| var.flatten_all().unwrap().to_vec1().unwrap()).collect();
    let mut slices: Vec<ParamSlice<'_>> = parameters
        .iter()
        .zip(&mut values)
        .zip(gradients.slices())
        .map(|(((name, _), value), grad)| ParamSlice { name, value, grad, decay: decays(name, norms) })
        .collect();
    optimizer.step(rate, &mut slices).unwrap();
    for ((_, var), values) in parameters.iter().zip(values) {
        var.set(&candle_core::Tensor::from_vec(values, var.dims(), var.device()).unwrap()).unwrap();
    }
}
