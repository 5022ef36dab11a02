//! Adapters that are empty, damaged, diverged or of another base.

use crate::support::{FOLDERS, Tensors, adapter_folder, base, changed, config, refused};
use glm_model::adapter::open;
use glm_model::weights::ElementType;
use proptest::prelude::*;
use std::fs;

#[test]
fn an_adapter_that_was_saved_empty() {
    let base = base(FOLDERS[0]);
    for file in ["adapter_model.bin", "adapter_model.safetensors", "pytorch_model.bin"] {
        let empty = changed(&adapter_folder(FOLDERS[0], "qkv"), file, ElementType::F32, |_, tensors| tensors.clear());
        refused(empty.path(), &base, &["holds no tensors", file]);
        fs::write(empty.path().join(file), []).unwrap();
        refused(empty.path(), &base, &["empty"]);
    }
}

#[test]
fn values_shapes_and_names_that_cannot_be() {
    type Change = fn(&mut Tensors);
    let first = |tensors: &Tensors| tensors.keys().next().unwrap().clone();
    let cases: [(&str, Change); 12] = [
        ("NaN", |t| t.values_mut().next().unwrap().1[1] = f32::NAN),
        ("inf", |t| t.values_mut().last().unwrap().1[0] = f32::INFINITY),
        ("lora_A", |t| drop(t.pop_first())),
        ("lora_B", |t| drop(t.pop_last())),
        ("[1", |t| t.values_mut().for_each(|(shape, values)| *shape = vec![1, values.len()])),
        ("expected a matrix", |t| t.values_mut().for_each(|(shape, values)| *shape = vec![values.len()])),
        ("outside the blocks", |t| {
            let (name, tensor) = t.pop_first().unwrap();
            t.insert(name.replace("layers.0", "tables"), tensor);
        }),
        ("block 99", |t| *t = t.iter().map(|(n, v)| (n.replace("layers.1", "layers.99"), v.clone())).collect()),
        ("no part of", |t| drop(t.insert("classifier.weight".into(), (vec![1], vec![0.0])))),
        ("modules_to_save", |t| drop(t.insert("lm_head.modules_to_save.weight".into(), (vec![1], vec![0.0])))),
        ("DoRA", |t| {
            drop(t.insert("layers.0.attention.dense.lora_magnitude_vector".into(), (vec![1], vec![0.0])));
        }),
        ("two adapters", |t| {
            let (name, tensor) = t.first_key_value().map(|(n, v)| (n.clone(), v.clone())).unwrap();
            t.insert(name.replace(".weight", ".second.weight"), tensor);
        }),
    ];
    for folder in FOLDERS {
        for kind in ["qkv", "all"] {
            for (expected, change) in &cases {
                let file = ["adapter_model.bin", "adapter_model.safetensors"][expected.len() % 2];
                let path = adapter_folder(folder, kind);
                let broken = changed(&path, file, ElementType::F32, |_, tensors| change(tensors));
                refused(broken.path(), &base(folder), &[expected]);
            }
            let named = changed(&adapter_folder(folder, kind), "a.bin", ElementType::F32, |_, tensors| {
                let name = first(tensors);
                tensors.get_mut(&name).unwrap().1[0] = f32::NAN;
            });
            refused(named.path(), &base(folder), &["element 0", "diverged", "layers.0"]);
        }
    }
    let integers = changed(&adapter_folder(FOLDERS[0], "qkv"), "a.bin", ElementType::I8, |_, _| {});
    refused(integers.path(), &base(FOLDERS[0]), &["i8", "floats"]);
}

#[test]
fn rank_and_base_that_do_not_fit() {
    for folder in FOLDERS {
        let base = base(folder);
        let rank = config(&adapter_folder(folder, "qkv"))["r"].as_u64().unwrap() as usize;
        let other = changed(&adapter_folder(folder, "qkv"), "a.bin", ElementType::F32, |settings, _| {
            settings.insert("r".into(), (rank + 1).into());
        });
        refused(other.path(), &base, &[&format!("r {}", rank + 1), "lora_A", &format!("[{rank}, ")]);
        // The widths of the published models, and the module names of the other generation.
        for (rows, cause) in [(12_288, "ChatGLM-6B"), (4_608, "ChatGLM2-6B"), (77, "another base")] {
            let other = changed(&adapter_folder(folder, "qkv"), "a.bin", ElementType::F32, |_, tensors| {
                for (name, tensor) in tensors.iter_mut().filter(|(name, _)| name.contains("lora_B")) {
                    assert!(name.contains("query_key_value"));
                    *tensor = (vec![rows, rank], vec![0.5; rows * rank]);
                }
            });
            let expected = base.fused_width().to_string();
            refused(other.path(), &base, &[&rows.to_string(), &expected, cause]);
        }
        let names = changed(&adapter_folder(folder, "all"), "a.bin", ElementType::F32, |_, tensors| {
            let other = |name: &str| match name.contains("self_attention") {
                true => name.replace("encoder.", "").replace("self_attention", "attention"),
                false => name.replace(".attention", ".self_attention"),
            };
            *tensors = std::mem::take(tensors).into_iter().map(|(name, t)| (other(&name), t)).collect();
        });
        refused(names.path(), &base, &["attention.dense", "modules of ChatGLM"]);
        let foreign = changed(&adapter_folder(folder, "all"), "a.bin", ElementType::F32, |_, tensors| {
            let other = |name: &str| name.replace("query_key_value", "q_proj");
            *tensors = std::mem::take(tensors).into_iter().map(|(name, t)| (other(&name), t)).collect();
        });
        refused(foreign.path(), &base, &["q_proj", "query_key_value"]);
    }
}

#[test]
fn settings_from_strangers() {
    let path = adapter_folder(FOLDERS[0], "qkv");
    let base = base(FOLDERS[0]);
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let texts = [
        String::new(),
        "null".into(),
        "[]".into(),
        "{\"r\": 1e999}".into(),
        "{\"r\": NaN}".into(),
        deep.clone(),
        format!("{{\"peft_type\": {deep}}}"),
        format!("{{\"x\": \"{}\"}}", "y".repeat(5 << 20)),
        "{\"peft_type\": \"LORA\", \"r\": 18446744073709551615, \"lora_alpha\": 1}".into(),
        "{\"peft_type\": \"LORA\", \"r\": 4294967295, \"lora_alpha\": 1, \"enable_lora\": [true,true,true]}".into(),
        "\u{0}\u{1}".into(),
    ];
    for text in texts {
        let folder = changed(&path, "adapter_model.bin", ElementType::F32, |_, _| {});
        fs::write(folder.path().join("adapter_config.json"), &text).unwrap();
        refused(folder.path(), &base, &["adapter_config.json"]);
    }
    let folder = changed(&path, "adapter_model.bin", ElementType::F32, |_, _| {});
    fs::write(folder.path().join("adapter_config.json"), [0xff, 0xfe, b'{']).unwrap();
    refused(folder.path(), &base, &["adapter_config.json"]);
}

#[test]
fn a_cut_at_any_place_is_an_error() {
    let base = base(FOLDERS[0]);
    for file in ["adapter_model.bin", "adapter_model.safetensors"] {
        let folder = changed(&adapter_folder(FOLDERS[0], "qkv"), file, ElementType::F32, |_, _| {});
        let path = folder.path().join(file);
        let bytes = fs::read(&path).unwrap();
        for end in (0..bytes.len()).step_by(bytes.len() / 61).chain([bytes.len() - 1]) {
            fs::write(&path, &bytes[..end]).unwrap();
            refused(folder.path(), &base, &[file]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Some changes are not seen (another value, another name of the adapter); none may end in a panic or in silence about
    /// the file.
    #[test]
    fn damaged_adapters_are_refused_or_read(
        file in 0..3usize,
        head in any::<bool>(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..5),
    ) {
        let name = ["adapter_model.bin", "adapter_model.safetensors", "adapter_config.json"][file];
        let weights = if file == 2 { "adapter_model.bin" } else { name };
        let folder = changed(&adapter_folder(FOLDERS[0], "qkv"), weights, ElementType::F32, |_, _| {});
        let path = folder.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        for (place, byte, how) in &damages {
            let reach = if head { bytes.len().min(1500) } else { bytes.len() };
            let at = place.index(reach.max(1));
            match how {
                0 => bytes[at] = *byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                _ => drop(bytes.splice(at..at, [*byte; 3])),
            }
        }
        fs::write(&path, &bytes).unwrap();
        if let Err(error) = open(folder.path()).and_then(|file| file.load(&base(FOLDERS[0])).map(drop)) {
            let error = error.to_string();
            prop_assert!(error.contains(&folder.path().display().to_string()), "no file is named: {error}");
        }
    }
}
