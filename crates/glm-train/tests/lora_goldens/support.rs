//! Networks, adapters and rows of the goldens.

use candle_core::Tensor;
use glm_data::{Batch, IGNORE_INDEX, Positions, Rng, TrainRow, Variant};
use glm_model::adapter::{AdapterFile, LoadedAdapter, LoraAdapter, LoraConfig, PrefixConfig, PrefixEncoder, open};
use glm_model::{GlmConfig, LoadOptions, Network, Scheme};
use glm_testkit::{Golden, fixture, json};
use glm_train::Adapter;
use glm_train::step::{Gradients, Loss, StepOptions, accumulate};
use serde_json::Value;
use std::slice::from_ref;

pub const FOLDERS: [&str; 2] = ["glm1-tiny", "glm2-tiny"];
pub const KINDS: [&str; 2] = ["qkv", "all"];
pub const AS_STORED: Scheme = Scheme::Dense { dtype: None };

pub fn network(folder: &str, scheme: Scheme) -> Network {
    let options = LoadOptions { scheme, ..LoadOptions::default() };
    Network::load(&fixture(folder), options, &mut |_, _| {}).unwrap()
}

pub fn lora(folder: &str, kind: &str, base: &GlmConfig) -> LoraAdapter {
    let file = open(&fixture(&format!("{folder}/lora/adapter-{kind}"))).unwrap();
    assert!(matches!(file, AdapterFile::Lora(_)), "{folder} {kind} is a {}", file.kind());
    match file.load(base).unwrap() {
        LoadedAdapter::Lora(adapter) => adapter,
        LoadedAdapter::Prefix(_) => panic!("{folder} {kind} became a prefix"),
    }
}

/// Every folder and kind with its network, golden and settings.
pub fn cases() -> impl Iterator<Item = (String, Network, LoraAdapter, Golden, Value)> {
    FOLDERS.into_iter().flat_map(|folder| {
        KINDS.into_iter().map(move |kind| {
            let network = network(&format!("{folder}/model"), AS_STORED);
            let adapter = lora(folder, kind, network.config());
            let golden = Golden::open(&format!("{folder}/lora/{kind}.safetensors"));
            (format!("{folder} {kind}"), network, adapter, golden, json(&format!("{folder}/lora/{kind}.json")))
        })
    })
}

/// Place of the context's end and of the mask token, as the official model finds them: `<sop>` begins the answer, and the
/// token before it is the mask.
pub fn positions(variant: Variant, labels: &[i64]) -> Positions {
    match variant {
        Variant::ChatGlm2 | Variant::ChatGlm3 => Positions::Linear,
        Variant::ChatGlm => {
            let context_len = labels.iter().position(|l| *l != IGNORE_INDEX).unwrap_or(labels.len());
            Positions::Block { context_len, mask_position: context_len - 1 }
        }
    }
}

/// Rows of padded ids and labels without the padding on the right, which carries no label.
pub fn rows(variant: Variant, golden: &Golden, prefix: &str) -> Vec<TrainRow> {
    let ids = golden.integer_rows(&format!("{prefix}.input_ids"));
    let labels = golden.integer_rows(&format!("{prefix}.labels"));
    let row = |(source, (ids, labels)): (usize, (&Vec<i64>, &Vec<i64>))| {
        let len = labels.iter().rposition(|l| *l != IGNORE_INDEX).map_or(ids.len(), |last| last + 1);
        let positions = positions(variant, labels);
        let ids = ids[..len].iter().map(|i| *i as u32).collect();
        TrainRow { ids, labels: labels[..len].to_vec(), context_len: positions.context_len(), positions, source }
    };
    ids.iter().zip(&labels).enumerate().map(row).collect()
}

pub fn options(network: &Network, scale: f64) -> StepOptions {
    StepOptions { kept_blocks: network.config().num_layers, scale, step: 1 }
}

pub fn floor(meta: &Value, path: &[&str]) -> f32 {
    let value = path.iter().fold(meta, |v, key| &v[key]);
    value.as_f64().unwrap_or_else(|| panic!("no {path:?}")) as f32
}

/// A floor of 0 means that the noise changed no bit; a few units in the last place are allowed then.
pub fn close(what: &str, found: f32, expected: f32, floor: f32) {
    let tolerance = (4.0 * floor).max(4.0 * f32::EPSILON * expected.abs());
    assert!((found - expected).abs() <= tolerance, "{what}: {found} expected {expected} within {tolerance}");
}

pub fn gradients(
    network: &Network,
    adapter: &Adapter,
    batch: &Batch,
    options: StepOptions,
    seed: u64,
) -> (Loss, Gradients) {
    let mut gradients = Gradients::zeros(adapter.parameters(network));
    let loss = accumulate(network, adapter, from_ref(batch), options, &mut Rng::new(seed), &mut gradients).unwrap()[0];
    (loss, gradients)
}

pub fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// An adapter whose `B` is not 0, so that every tensor has a gradient.
pub fn trained(network: &Network, config: LoraConfig) -> Adapter {
    let mut rng = Rng::new(11);
    let places = config.places(network.config());
    let values = |_: &str, [rows, columns]: [usize; 2]| (0..rows * columns).map(|_| 0.05 * rng.normal()).collect();
    Adapter::Lora(LoraAdapter::from_values(config, network.config(), places, values).unwrap())
}

pub fn prefix(base: &GlmConfig, projection: bool) -> Adapter {
    let encoder = PrefixEncoder::new(PrefixConfig::new(base, 5, projection), &mut Rng::new(2)).unwrap();
    Adapter::Prefix { encoder, dropout: 0.1 }
}
