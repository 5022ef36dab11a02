//! What the goldens hold, as batches.

use glm_data::{Batch, Positions, Variant};
use glm_model::{LoadOptions, Network, Scheme};
use glm_testkit::{Golden, fixture};

/// The fixtures of the three variants.
pub const FOLDERS: [&str; 3] = ["glm1-tiny", "glm2-tiny", "glm3-tiny"];

/// A network as its folder has it.
pub fn network(folder: &str) -> Network {
    network_as(folder, Scheme::Dense { dtype: None })
}

/// A network with linear layers of a scheme.
pub fn network_as(folder: &str, scheme: Scheme) -> Network {
    Network::load(&fixture(folder), LoadOptions { scheme, ..LoadOptions::default() }, &mut |_, _| {}).unwrap()
}

/// One row of an integer golden `[batch, …]`.
pub fn of_row<'a>(golden: &'a Golden, name: &str, row: usize) -> &'a [i64] {
    let (shape, all) = golden.integers(name);
    let each = all.len() / shape[0];
    &all[row * each..(row + 1) * each]
}

/// A prompt without its padding.
pub struct Prompt {
    /// Its tokens.
    pub ids: Vec<u32>,
    /// Where it begins in the padded golden.
    pub from: usize,
    /// Where they stand.
    pub positions: Positions,
}

/// Positions as the goldens have them, `[2, tokens]` behind the padding of one row.
pub fn positions(network: &Network, ids: &[u32], golden: &[i64]) -> Positions {
    if network.config().variant != Variant::ChatGlm {
        return Positions::Linear;
    }
    let sop = network.config().raw["bos_token_id"].as_u64().unwrap();
    let context_len = ids.iter().position(|id| u64::from(*id) == sop).unwrap();
    let (first, second) = golden.split_at(golden.len() / 2);
    let (first, second) = (&first[first.len() - ids.len()..], &second[second.len() - ids.len()..]);
    let positions = Positions::Block { context_len, mask_position: first[ids.len() - 1] as usize };
    for i in 0..ids.len() {
        assert_eq!(positions.at(i).map(i64::from), [first[i], second[i]], "token {i} of {ids:?}");
    }
    positions
}

/// Prompts one after another.
pub fn packed(prompts: &[Prompt]) -> Batch {
    let mut batch = Batch::default();
    prompts.iter().for_each(|p| batch.push(&p.ids, 0, p.positions, None, 0));
    batch
}

/// The values of a tensor.
pub fn values(tensor: &candle_core::Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Rows `from..` of sequence `row` of a golden `[batch, seq, width]`.
pub fn real<'a>(golden: &'a Golden, name: &str, row: usize, from: usize) -> &'a [f32] {
    let (shape, values) = golden.floats(name);
    &values[(row * shape[1] + from) * shape[2]..(row + 1) * shape[1] * shape[2]]
}
