//! The merged linear layers of the first releases of peft.

use crate::support::{FOLDERS, Tensors, adapter_folder, base, changed, lora_file, refused};
use glm_model::adapter::Site;
use glm_model::weights::ElementType;
use serde_json::json;

/// Replaces an adapter of query_key_value by one of the old form: `n` enabled parts of three, with numbers that tell them
/// apart.
fn old(tensors: &mut Tensors, rank: usize, enabled: usize) {
    for (name, (shape, values)) in tensors.iter_mut() {
        *shape = match name.contains("lora_A") {
            true => vec![enabled * rank, shape[1]],
            false => vec![shape[0] / 3 * enabled, rank, 1],
        };
        *values = (0..shape.iter().product()).map(|i| ((i * 7 + name.len()) % 23) as f32 / 16.0 - 0.5).collect();
    }
}

#[test]
fn parts_of_a_fused_layer_become_one_addition_of_the_same_value() {
    for folder in FOLDERS {
        let base = base(folder);
        let [out, inner] = Site::QueryKeyValue.shape(&base);
        if out % 3 != 0 {
            eprintln!("skipped: the fused layer of {folder} has {out} rows, which are no three equal parts");
            continue;
        }
        for enable in [vec![true, false, true], vec![false, true, false], vec![true; 3]] {
            let (rank, alpha) = (2, 16.0);
            let enabled = enable.iter().filter(|on| **on).count();
            let file =
                changed(&adapter_folder(folder, "qkv"), "adapter_model.bin", ElementType::F32, |keys, tensors| {
                    keys.extend(
                        json!({"r": rank, "lora_alpha": alpha, "enable_lora": enable}).as_object().unwrap().clone(),
                    );
                    keys.insert("merge_weights".into(), json!(false));
                    old(tensors, rank, enabled);
                });
            let tensors = crate::support::read(&file.path().join("adapter_model.bin"));
            let adapter = lora_file(file.path()).load(&base).unwrap();
            for layer in 0..base.num_layers {
                let delta = adapter.weight_delta(layer, Site::QueryKeyValue).unwrap().unwrap();
                let found: Vec<f32> = delta.flatten_all().unwrap().to_vec1().unwrap();
                let module = format!("base_model.model.{}", Site::QueryKeyValue.module(&base, layer));
                let a = &tensors[&format!("{module}.lora_A.weight")].1;
                let b = &tensors[&format!("{module}.lora_B.weight")].1;
                // Group g of the convolution reads rows g·r.. of A and writes the g-th enabled third of the output.
                let mut expected = vec![0.0f32; out * inner];
                let parts = enable.iter().enumerate().filter(|(_, on)| **on);
                for (group, (part, _)) in parts.enumerate() {
                    for row in 0..out / 3 {
                        for k in 0..rank {
                            let factor = b[(group * out / 3 + row) * rank + k] * alpha as f32 / rank as f32;
                            for column in 0..inner {
                                expected[(part * out / 3 + row) * inner + column] +=
                                    factor * a[(group * rank + k) * inner + column];
                            }
                        }
                    }
                }
                let largest = glm_testkit::largest_difference(&found, &expected);
                assert!(largest < 1e-4, "{folder} {enable:?} block {layer}: {largest}");
            }
        }
    }
}

#[test]
fn old_forms_that_cannot_be_told_are_refused_by_name() {
    for folder in FOLDERS {
        let base = base(folder);
        for (enable, reason) in [
            (json!([true, true, true, true, true]), "enable_lora"),
            (json!([false, false]), "enable_lora"),
            (json!("all"), "enable_lora"),
            (json!([true, 1]), "enable_lora"),
            // Two parts of a layer that has three.
            (json!([true, false]), "lora_"),
        ] {
            let file =
                changed(&adapter_folder(folder, "qkv"), "adapter_model.bin", ElementType::F32, |keys, tensors| {
                    keys.insert("r".into(), json!(2));
                    keys.insert("enable_lora".into(), enable.clone());
                    old(tensors, 2, 2);
                });
            refused(file.path(), &base, &[reason]);
        }
        let unsaid = changed(&adapter_folder(folder, "qkv"), "adapter_model.bin", ElementType::F32, |keys, tensors| {
            keys.insert("r".into(), json!(2));
            old(tensors, 2, 2);
        });
        refused(unsaid.path(), &base, &["r 2", "lora_A", "lora_B"]);
    }
}
