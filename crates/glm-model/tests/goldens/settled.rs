//! The frozen twin of a network that trains in bfloat16.

use super::support::{FOLDERS, values};
use glm_data::{Batch, Positions, Variant};
use glm_model::export::{FolderOptions, FolderSource, Parameters, export_folder};
use glm_model::{AdapterInputs, DenseType, LoadOptions, Network, Scheme, Trains};
use glm_testkit::fixture;

fn load(folder: &str, trains: Trains) -> Network {
    let scheme = Scheme::Dense { dtype: Some(DenseType::Bf16) };
    Network::load(
        &fixture(folder).join("model"),
        LoadOptions { scheme, trains, ..LoadOptions::default() },
        &mut |_, _| {},
    )
    .unwrap()
}

fn logits(network: &Network) -> Vec<f32> {
    let positions = match network.config().variant {
        Variant::ChatGlm => Positions::Block { context_len: 2, mask_position: 1 },
        _ => Positions::Linear,
    };
    let mut batch = Batch::default();
    batch.push(&[3, 5, 7, 4], 0, positions, None, 0);
    values(&network.logits(&network.forward(&batch, &AdapterInputs::default()).unwrap()).unwrap())
}

#[test]
fn it_is_what_its_checkpoint_would_be_and_stays_as_it_is() {
    for folder in FOLDERS {
        for trains in [Trains::All, Trains::LastBlocks(1)] {
            let network = load(folder, trains);
            let settled = network.settled().unwrap().expect("it trains in bf16");
            assert!(settled.parameters().is_empty() && settled.settled().unwrap().is_none());
            assert!(settled.bytes() < network.bytes(), "its weights have two bytes");
            let before = logits(&settled);
            let room = tempfile::tempdir().unwrap();
            let (base, checkpoint) = (fixture(folder).join("model"), room.path().join("checkpoint"));
            let files = FolderSource::open(&base).unwrap();
            let trained = Parameters::new(network.config(), network.parameters(), Some(&files));
            let options = FolderOptions { dtype: Some(DenseType::Bf16), ..FolderOptions::default() };
            export_folder(&trained, &base, &checkpoint, options, &mut |_, _| {}).unwrap();
            let loaded = Network::load(&checkpoint, LoadOptions::default(), &mut |_, _| {}).unwrap();
            assert!(logits(&loaded) == before, "{folder}: its checkpoint answers otherwise");
            let difference = difference(&before, &logits(&network));
            assert!(difference < 1e-4, "{folder}: {difference}");
            for (_, var) in network.parameters() {
                var.set(&(var.as_tensor() * 1.5).unwrap().detach()).unwrap();
            }
            assert!(logits(&settled) == before, "{folder}: it changed with what trains");
            assert!(self::difference(&before, &logits(&network)) > 1e-3);
        }
    }
}

#[test]
fn where_nothing_is_rounded_there_is_none() {
    for (scheme, trains) in [
        (Scheme::Dense { dtype: Some(DenseType::Bf16) }, Trains::Nothing),
        (Scheme::Dense { dtype: Some(DenseType::F32) }, Trains::All),
        (Scheme::Dense { dtype: None }, Trains::LastBlocks(1)),
    ] {
        let folder = fixture("glm2-tiny/model");
        let network =
            Network::load(&folder, LoadOptions { scheme, trains, ..LoadOptions::default() }, &mut |_, _| {}).unwrap();
        assert!(network.settled().unwrap().is_none());
    }
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
