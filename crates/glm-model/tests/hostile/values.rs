//! Values that no trained weight has.

use crate::support::{FORMATS, load, refused, small_base, small_first_generation, with_weights};
use glm_model::weights::{ElementType, FileFormat, WeightFolder};
use half::f16;
use std::fs;

#[test]
fn one_value_that_is_no_number_is_found_in_any_tensor() {
    for (format, name) in FORMATS {
        for base in [small_base(format, u64::MAX), small_first_generation(format)] {
            let bytes = fs::read(base.path().join(name)).unwrap();
            let weights = WeightFolder::open(base.path()).unwrap();
            for tensor in weights.names().filter(|n| !n.ends_with("inv_freq")) {
                for value in [f16::NAN, f16::INFINITY, f16::NEG_INFINITY] {
                    let mut bytes = bytes.clone();
                    let entry = weights.entry(tensor).unwrap();
                    let value_bytes = match entry.dtype {
                        ElementType::F32 => value.to_f32().to_le_bytes().to_vec(),
                        _ => value.to_le_bytes().to_vec(),
                    };
                    bytes[entry.range.end - value_bytes.len()..entry.range.end].copy_from_slice(&value_bytes);
                    // A tied output layer is compared with the embedding, which says no value.
                    let value = if tensor == "lm_head.weight" { "differs".into() } else { value.to_string() };
                    refused(with_weights(base.path(), name, &bytes).path(), &[tensor, &value]);
                }
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
