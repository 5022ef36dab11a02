//! Values that no trained weight has.

use crate::support::{FORMATS, load, refused, small_base, with_weights};
use glm_model::weights::{FileFormat, WeightFolder};
use half::f16;
use std::fs;

#[test]
fn one_value_that_is_no_number_is_found_in_any_tensor() {
    for (format, name) in FORMATS {
        let base = small_base(format, u64::MAX);
        let bytes = fs::read(base.path().join(name)).unwrap();
        let weights = WeightFolder::open(base.path()).unwrap();
        for tensor in weights.names().filter(|n| *n != "transformer.rotary_pos_emb.inv_freq") {
            for value in [f16::NAN, f16::INFINITY, f16::NEG_INFINITY] {
                let mut bytes = bytes.clone();
                let last = weights.entry(tensor).unwrap().range.end - 2;
                bytes[last..last + 2].copy_from_slice(&value.to_le_bytes());
                refused(with_weights(base.path(), name, &bytes).path(), &[tensor, &value.to_string()]);
            }
        }
    }
}

#[test]
fn a_cut_at_any_place_is_an_error() {
    for (format, name) in FORMATS {
        let base = small_base(format, u64::MAX);
        let bytes = fs::read(base.path().join(name)).unwrap();
        let step = bytes.len() / 97;
        let ends = (1..bytes.len()).step_by(step).chain([bytes.len() - 1]);
        for end in ends {
            refused(with_weights(base.path(), name, &bytes[..end]).path(), &[name]);
        }
    }
}

#[test]
fn bytes_after_the_end_change_nothing_or_are_an_error() {
    let base = small_base(FileFormat::Safetensors, u64::MAX);
    let mut bytes = fs::read(base.path().join("model.safetensors")).unwrap();
    bytes.extend([0; 100]);
    assert!(load(with_weights(base.path(), "model.safetensors", &bytes).path()).is_err());
}
