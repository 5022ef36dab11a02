//! peft's LoRA adapters, read and written.

use crate::support::{FOLDERS, KINDS, adapter_folder, base, changed, config, lora_file, read, refused, values};
use glm_data::Rng;
use glm_model::adapter::{LoraAdapter, LoraConfig, LoraInit, Site, open, parse_targets, write_lora};
use glm_model::weights::{ElementType, safetensors_metadata};
use glm_model::{LoadOptions, Network};
use glm_testkit::fixture;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

fn each() -> impl Iterator<Item = (&'static str, &'static str)> {
    FOLDERS.into_iter().flat_map(|folder| KINDS.into_iter().map(move |kind| (folder, kind)))
}

#[test]
fn both_files_of_the_official_library_hold_the_same_adapter() {
    for (folder, kind) in each() {
        let path = adapter_folder(folder, kind);
        let settings = config(&path);
        for file in ["adapter_model.bin", "adapter_model.safetensors"] {
            let found = lora_file(&path.join(file));
            assert_eq!(found.rank() as u64, settings["r"].as_u64().unwrap());
            assert_eq!(found.scale(), settings["lora_alpha"].as_f64().unwrap() / found.rank() as f64);
            assert_eq!(found.base_name(), settings["base_model_name_or_path"].as_str());
            let adapter = found.load(&base(folder)).unwrap();
            let expected = read(&path.join("adapter_model.safetensors"));
            assert_eq!(adapter.parameters().len(), expected.len());
            for (name, values) in values(&adapter) {
                assert_eq!(values, expected[&name].1, "{folder} {kind} {file} {name}");
            }
            let wanted: BTreeSet<&str> =
                settings["target_modules"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
            let targets: BTreeSet<&str> = adapter.config().targets.iter().map(|site| site.name()).collect();
            assert_eq!((targets, &adapter.config().layers), (wanted, &None));
        }
    }
}

#[test]
fn what_is_written_is_what_the_official_library_writes() {
    for (folder, kind) in each() {
        let (path, base) = (adapter_folder(folder, kind), base(folder));
        let adapter = lora_file(&path).load(&base).unwrap();
        let written = tempfile::tempdir().unwrap();
        let name = config(&path)["base_model_name_or_path"].as_str().unwrap().to_owned();
        let metadata = BTreeMap::from([("seed".to_owned(), "42".to_owned())]);
        write_lora(written.path(), &adapter, &base, &name, &metadata).unwrap();
        let text = |folder: &std::path::Path| fs::read_to_string(folder.join("adapter_config.json")).unwrap();
        assert_eq!(text(written.path()).trim_end(), text(&path).trim_end());
        for file in ["adapter_model.bin", "adapter_model.safetensors"] {
            assert_eq!(read(&written.path().join(file)), read(&path.join(file)), "{folder} {kind} {file}");
        }
        let header = safetensors_metadata(&written.path().join("adapter_model.safetensors")).unwrap();
        assert_eq!((header["format"].as_str(), header["seed"].as_str()), ("pt", "42"));
        // The header holds the settings too, so that the one file is an adapter.
        fs::remove_file(written.path().join("adapter_config.json")).unwrap();
        let alone = lora_file(&written.path().join("adapter_model.safetensors")).load(&base).unwrap();
        assert_eq!(alone.config(), adapter.config());
        assert_eq!(values(&alone), values(&adapter));
        refused(&written.path().join("adapter_model.bin"), &base, &["adapter_config.json", "factor"]);
    }
}

#[test]
fn every_setting_comes_back() {
    for folder in FOLDERS {
        let base = base(folder);
        let all = LoraConfig { targets: BTreeSet::from(Site::ALL), ..LoraConfig::default() };
        let some = LoraConfig {
            rank: 5,
            alpha: 2.5,
            dropout: 0.05,
            use_rslora: true,
            init: LoraInit::Gaussian,
            targets: BTreeSet::from([Site::Dense, Site::Dense4hToH]),
            layers: Some(BTreeSet::from([base.num_layers - 1])),
        };
        for config in [LoraConfig::default(), all, some] {
            let adapter = LoraAdapter::new(config.clone(), &base, &mut Rng::new(5)).unwrap();
            let written = tempfile::tempdir().unwrap();
            write_lora(written.path(), &adapter, &base, "base", &BTreeMap::new()).unwrap();
            let back = lora_file(written.path()).load(&base).unwrap();
            assert_eq!((back.config(), values(&back)), (&config, values(&adapter)));
            assert_eq!(back.config().scale(), config.alpha / if config.use_rslora { 5f64.sqrt() } else { 8.0 });
            let keys = crate::support::config(written.path());
            assert_eq!(keys.contains_key("use_rslora"), config.use_rslora);
            assert_eq!(keys["lora_dropout"], json!(0.05));
            let layers = config.layers.map_or(Value::Null, |layers| json!(layers));
            assert_eq!(keys["layers_to_transform"], layers);
        }
        // Modules that are no rectangle of blocks and layers are named in full.
        let places = vec![(0, Site::QueryKeyValue), (0, Site::Dense), (1, Site::Dense)];
        let config = LoraConfig { rank: 1, ..LoraConfig::default() };
        let value = |_: &str, [rows, columns]: [usize; 2]| vec![0.5; rows * columns];
        let adapter = LoraAdapter::from_values(config, &base, places.clone(), value).unwrap();
        let written = tempfile::tempdir().unwrap();
        write_lora(written.path(), &adapter, &base, "base", &BTreeMap::new()).unwrap();
        let named = places.iter().map(|(layer, site)| site.module(&base, *layer)).collect::<Vec<_>>();
        assert_eq!(crate::support::config(written.path())["target_modules"], json!(named));
        assert_eq!(lora_file(written.path()).load(&base).unwrap().places(), places);
    }
}

#[test]
fn fresh_adapters_change_nothing_and_begin_as_peft_begins_them() {
    for folder in FOLDERS {
        let base = base(folder);
        let targets = BTreeSet::from(Site::ALL);
        for init in [LoraInit::Kaiming, LoraInit::Gaussian] {
            let config = LoraConfig { rank: 16, init, targets: targets.clone(), ..LoraConfig::default() };
            let adapter = LoraAdapter::new(config, &base, &mut Rng::new(1)).unwrap();
            assert_eq!(adapter.parameters().len(), 2 * 4 * base.num_layers);
            let (mut count, mut square) = (0.0, 0.0);
            for (name, values) in values(&adapter) {
                let inner = values.len() as f64 / 16.0;
                // Uniform in ±1/√in has the variance 1/(3 in); normal with 1/r has 1/r².
                let spread = if init == LoraInit::Gaussian { 1.0 / 16.0 } else { (3.0 * inner).sqrt().recip() };
                match name.contains("lora_B") {
                    true => assert!(values.iter().all(|v| *v == 0.0)),
                    false => values.iter().for_each(|v| square += (f64::from(*v) / spread).powi(2)),
                }
                count += if name.contains("lora_B") { 0.0 } else { values.len() as f64 };
                let bound = inner.sqrt().recip() as f32;
                assert!(init == LoraInit::Gaussian || values.iter().all(|v| v.abs() <= bound), "{name}");
            }
            assert!((square / count - 1.0).abs() < 0.1, "{init:?}: {}", square / count);
            let delta = adapter.weight_delta(0, Site::Dense).unwrap().unwrap();
            assert!(delta.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|v| *v == 0.0));
        }
    }
}

#[test]
fn names_and_types_of_other_releases() {
    type Rename = fn(&str) -> String;
    let renames: [Rename; 4] = [
        |name| name.to_owned(),
        |name| name.replace(".weight", ".default.weight"),
        |name| name.replace("base_model.model.", ""),
        |name| format!("module.{}", name.replace(".weight", ".my-task.weight")),
    ];
    for (folder, kind) in each() {
        let (path, base) = (adapter_folder(folder, kind), base(folder));
        let expected = values(&lora_file(&path).load(&base).unwrap());
        for rename in renames {
            for (dtype, file, tolerance) in [
                (ElementType::F32, "adapter_model.bin", 0.0),
                (ElementType::F64, "adapter_model.safetensors", 0.0),
                (ElementType::F16, "lora.pt", 1e-3),
                (ElementType::BF16, "some.safetensors", 8e-3),
            ] {
                let other = changed(&path, file, dtype, |_, tensors| {
                    *tensors = std::mem::take(tensors).into_iter().map(|(name, t)| (rename(&name), t)).collect();
                });
                let found = values(&lora_file(other.path()).load(&base).unwrap());
                for ((name, found), (_, expected)) in found.iter().zip(&expected) {
                    let near = |(f, e): (&f32, &f32)| (f - e).abs() <= tolerance * e.abs().max(1e-3);
                    assert!(found.iter().zip(expected).all(near), "{folder} {name} as {dtype} in {file}");
                }
            }
        }
    }
}

#[test]
fn settings_that_are_set_and_not_supported_are_refused_by_name() {
    let folder = FOLDERS[0];
    let (path, base) = (adapter_folder(folder, "qkv"), base(folder));
    for (key, value) in [
        ("use_dora", json!(true)),
        ("rank_pattern", json!({"dense": 4})),
        ("alpha_pattern", json!({"dense": 4})),
        ("modules_to_save", json!(["lm_head"])),
        ("bias", json!("lora_only")),
        ("layers_pattern", json!("h")),
        ("fan_in_fan_out", json!(true)),
        ("peft_type", json!("ADALORA")),
        ("peft_type", json!("PREFIX_TUNING")),
        ("task_type", json!("SEQ_CLS")),
        ("init_lora_weights", json!("pissa_niter_16")),
        ("layer_replication", json!([[0, 2]])),
        ("target_parameters", json!(["x"])),
        ("something_new", json!({"on": true})),
        ("r", json!(0)),
        ("r", json!("8")),
        ("r", json!(null)),
        ("lora_alpha", json!(null)),
        ("lora_alpha", json!("many")),
        ("lora_dropout", json!(1)),
        ("use_rslora", json!("yes")),
    ] {
        let broken = changed(&path, "adapter_model.safetensors", ElementType::F32, |settings, _| {
            settings.insert(key.into(), value.clone());
        });
        let named = if value == json!("PREFIX_TUNING") { "PREFIX_TUNING" } else { key };
        refused(broken.path(), &base, &[named]);
    }
    // What newer releases write where nothing is set.
    let neutral = changed(&path, "adapter_model.safetensors", ElementType::F32, |settings, _| {
        let keys = json!({
            "use_dora": false, "rank_pattern": {}, "alpha_pattern": {}, "modules_to_save": null, "layers_pattern": null,
            "loftq_config": {}, "eva_config": null, "corda_config": null, "lora_bias": false, "use_qalora": false,
            "megatron_config": null, "megatron_core": "megatron.core", "peft_version": "0.18.0", "qalora_group_size": 16,
            "runtime_config": {"ephemeral_gpu_offload": false}, "trainable_token_indices": null, "exclude_modules": null,
            "layer_replication": null, "target_parameters": null, "layers_to_transform": null, "use_rslora": false,
        });
        settings.extend(keys.as_object().unwrap().clone());
    });
    let same = lora_file(neutral.path()).load(&base).unwrap();
    assert_eq!(values(&same), values(&lora_file(&path).load(&base).unwrap()));
}

#[test]
fn targets_are_matched_by_whole_last_parts() {
    for folder in FOLDERS {
        let base = base(folder);
        let parse = |text: &str| parse_targets(text, &base).map(Vec::from_iter);
        assert_eq!(parse("dense").unwrap(), [Site::Dense]);
        assert_eq!(parse(" query_key_value , dense_4h_to_h").unwrap(), [Site::QueryKeyValue, Site::Dense4hToH]);
        assert_eq!(parse("all-linear").unwrap(), Site::ALL);
        for site in Site::ALL {
            assert_eq!(parse(site.part(&base)).unwrap(), [site]);
            assert_eq!(parse(site.name()).unwrap(), [site]);
        }
        for bad in ["", ",", "q_proj", "ense", "dense.", "all", "4h_to_h", "attention.", "query_key_value,v_proj"] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.contains("--lora_target") && error.contains(Site::Dense.part(&base)), "{error}");
        }
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let base = base(FOLDERS[0]);
    let refuse = |config: LoraConfig, flag: &str| {
        let error = LoraAdapter::new(config, &base, &mut Rng::new(0)).unwrap_err().to_string();
        assert!(error.contains(flag), "{error}");
    };
    let config = LoraConfig::default;
    refuse(LoraConfig { rank: 0, ..config() }, "--lora_rank");
    refuse(LoraConfig { rank: 1 << 40, ..config() }, "--lora_rank");
    refuse(LoraConfig { alpha: f64::NAN, ..config() }, "--lora_alpha");
    refuse(LoraConfig { dropout: 1.0, ..config() }, "--lora_dropout");
    refuse(LoraConfig { targets: BTreeSet::new(), ..config() }, "--lora_target");
    refuse(LoraConfig { layers: Some(BTreeSet::from([base.num_layers])), ..config() }, "layer");
    refuse(LoraConfig { layers: Some(BTreeSet::new()), ..config() }, "layer");
    for text in ["{\"rank\":4,\"other\":1}", "{\"rank\":-1}", "{\"targets\":[\"q_proj\"]}"] {
        assert!(serde_json::from_str::<LoraConfig>(text).is_err(), "{text}");
    }
    let text = serde_json::to_string(&config()).unwrap();
    assert_eq!(serde_json::from_str::<LoraConfig>(&text).unwrap(), config());
}

#[test]
fn a_diverged_adapter_is_never_written() {
    let base = base(FOLDERS[0]);
    let config = LoraConfig { rank: 1, ..LoraConfig::default() };
    let places = config.places(&base);
    let value = |name: &str, [rows, columns]: [usize; 2]| {
        vec![if name.contains("layers.1") && rows > 1 { f32::NAN } else { 1.0 }; rows * columns]
    };
    let adapter = LoraAdapter::from_values(config, &base, places, value).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = write_lora(folder.path(), &adapter, &base, "b", &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("layers.1") && error.contains("NaN"), "{error}");
    assert!(open(folder.path()).is_err() && fs::read_dir(folder.path()).unwrap().next().is_none());
}

#[test]
fn an_adapter_in_place_of_a_base_is_refused_by_what_it_is() {
    for folder in FOLDERS {
        let dir = tempfile::tempdir().unwrap();
        let adapter = adapter_folder(folder, "qkv").join("adapter_model.bin");
        fs::copy(adapter, dir.path().join("pytorch_model.bin")).unwrap();
        fs::copy(fixture(&format!("{folder}/model/config.json")), dir.path().join("config.json")).unwrap();
        let error = Network::load(dir.path(), LoadOptions::default(), &mut |_, _| {}).unwrap_err().to_string();
        assert!(error.contains("only a LoRA adapter") && error.contains("--model_name_or_path"), "{error}");
    }
}
