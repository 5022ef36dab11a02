//! One batch whose rows use different adapters.

use crate::support::{AS_STORED, FOLDERS, floats, lora, network, prefix, rows};
use glm_data::{Batch, Rng, TrainRow};
use glm_model::adapter::{AdapterSlots, PrefixConfig, PrefixEncoder};
use glm_testkit::{Golden, relative_error};
use glm_train::Adapter;

#[test]
fn rows_of_one_batch_may_use_base_prefix_and_lora() {
    for folder in FOLDERS {
        let network = network(&format!("{folder}/model"), AS_STORED);
        let config = network.config();
        let golden = Golden::open(&format!("{folder}/lora/all.safetensors"));
        let rows = rows(config.variant, &golden, "batch");
        let slots = AdapterSlots::default();
        let Adapter::Prefix { encoder, .. } = prefix(config, false) else { unreachable!() };
        let second = PrefixEncoder::new(PrefixConfig::new(config, 3, false), &mut Rng::new(9)).unwrap();
        let used = [
            None,
            Some(slots.add(&encoder).unwrap()),
            Some(slots.add_lora(&lora(folder, "all", config))),
            Some(slots.add(&second).unwrap()),
            Some(slots.add_lora(&lora(folder, "qkv", config))),
        ];
        let logits = |batch: &Batch| {
            let hidden = network.forward(batch, &slots.inputs(&batch.segments).unwrap()).unwrap();
            network.logits(&hidden).unwrap()
        };
        let mut mixed = Batch::default();
        let order: Vec<(&TrainRow, Option<usize>)> =
            rows.iter().flat_map(|row| used.iter().rev().map(move |slot| (row, *slot))).collect();
        order.iter().for_each(|(row, slot)| mixed.push(&row.ids, 0, row.positions, *slot, 0));
        let together = logits(&mixed);
        for (segment, (row, slot)) in mixed.segments.iter().zip(&order) {
            let mut alone = Batch::default();
            alone.push(&row.ids, 0, row.positions, *slot, 0);
            let found = floats(&together.narrow(0, segment.start, segment.len).unwrap());
            let error = relative_error(&found, &floats(&logits(&alone)));
            assert!(error < 1e-5, "{folder} slot {slot:?}: {error}");
            let mut bare = Batch::default();
            bare.push(&row.ids, 0, row.positions, None, 0);
            let change = relative_error(&found, &floats(&logits(&bare)));
            assert_eq!(change > 1e-3, slot.is_some(), "{folder} slot {slot:?} changes the logits by {change}");
        }
    }
}
