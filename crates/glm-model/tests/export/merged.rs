use super::support::{assert_same_bytes, quiet, source};
use glm_model::adapter::LoraFile;
use glm_model::export::{
    FolderOptions, FolderSource, LoraDelta, Merged, TensorSource, WeightDelta, export_folder, export_quantized,
};
use glm_model::weights::WeightFolder;
use glm_model::{DenseType, ModelError};
use glm_testkit::{Golden, fixture, json, largest_difference};
use std::collections::BTreeMap;

const NAME: &str = "base_model.model.";

/// `scale * B A` of an adapter as peft saves it.
struct LowRank {
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    scale: f32,
}

impl LowRank {
    fn open(folder: &str) -> Self {
        let weights = WeightFolder::open(&fixture(&format!("{folder}/adapter_model.safetensors"))).unwrap();
        let read = |name: &str| {
            let tensor = weights.get(name).unwrap();
            (tensor.shape.clone(), tensor.all_f32().unwrap())
        };
        let config = json(&format!("{folder}/adapter_config.json"));
        let number = |key: &str| config[key].as_f64().unwrap() as f32;
        let tensors = weights.names().map(|name| (name.to_string(), read(name))).collect();
        Self { tensors, scale: number("lora_alpha") / number("r") }
    }
}

impl WeightDelta for LowRank {
    fn sites(&self) -> Vec<String> {
        let site = |name: &String| Some(format!("{}.weight", name.strip_prefix(NAME)?.strip_suffix(".lora_A.weight")?));
        self.tensors.keys().filter_map(site).collect()
    }

    fn add_to(&self, name: &str, [out, inner]: [usize; 2], values: &mut [f32]) -> Result<(), ModelError> {
        let module = name.strip_suffix(".weight").unwrap();
        let (shape, a) = &self.tensors[&format!("{NAME}{module}.lora_A.weight")];
        let (_, b) = &self.tensors[&format!("{NAME}{module}.lora_B.weight")];
        let rank = shape[0];
        assert_eq!((a.len(), b.len(), values.len()), (rank * inner, out * rank, out * inner), "{name}");
        for (row, values) in values.chunks_mut(inner).enumerate() {
            for (column, value) in values.iter_mut().enumerate() {
                let sum: f64 = (0..rank).map(|r| f64::from(b[row * rank + r]) * f64::from(a[r * inner + column])).sum();
                *value += (f64::from(self.scale) * sum) as f32;
            }
        }
        Ok(())
    }
}

#[test]
fn merged_weights_equal_those_of_peft() {
    for variant in ["glm1-tiny", "glm2-tiny", "glm3-tiny"] {
        let model = format!("{variant}/model");
        if !fixture(&format!("{variant}/lora")).is_dir() {
            eprintln!("skipped: {variant} has no lora fixtures");
            continue;
        }
        let base = source(&model);
        for case in ["qkv", "all"] {
            let folder = format!("{variant}/lora/adapter-{case}");
            let adapter = LoraFile::open(&fixture(&folder)).unwrap().load(base.config()).unwrap();
            let deltas: [&dyn WeightDelta; 2] = [&LoraDelta::new(&adapter, base.config()), &LowRank::open(&folder)];
            assert_eq!(deltas[0].sites(), deltas[1].sites());
            for delta in deltas {
                check_merged(&base, delta, variant, case);
            }
        }
    }
}

fn check_merged(base: &FolderSource, delta: &dyn WeightDelta, variant: &str, case: &str) {
    let merged = Merged::new(base, delta).unwrap();
    let room = tempfile::tempdir().unwrap();
    let options = FolderOptions { dtype: Some(DenseType::F32), ..FolderOptions::default() };
    let target = room.path().join("out");
    export_folder(&merged, &fixture(&format!("{variant}/model")), &target, options, &mut quiet).unwrap();
    let weights = WeightFolder::open(&target).unwrap();
    let golden = Golden::open(&format!("{variant}/lora/{case}.safetensors"));
    let names = golden.names("merged.");
    assert!(!names.is_empty(), "{variant} {case}: no merged weights among the goldens");
    for name in names {
        let found = weights.get(name.strip_prefix("merged.").unwrap()).unwrap().all_f32().unwrap();
        let difference = largest_difference(&found, golden.floats(name).1);
        assert!(difference < 2e-6, "{variant} {case} {name}: {difference}");
    }
}

#[test]
fn what_the_adapter_does_not_touch_is_taken_over_as_it_is() {
    let base = source("glm2-tiny/quant-int4");
    let delta = LowRank::open("glm2-tiny/lora/adapter-qkv");
    let merged = Merged::new(&base, &delta).unwrap();
    let room = tempfile::tempdir().unwrap();
    export_quantized(&merged, 4, &fixture("glm2-tiny/quant-int4"), &room.path().join("out"), &mut quiet).unwrap();
    let (found, before) = (WeightFolder::open(&room.path().join("out")).unwrap(), base.weights());
    let mut changed = 0;
    for name in before.names() {
        let touched = delta.sites().iter().any(|site| name == site || *name == format!("{site}_scale"));
        let differs = found.get(name).unwrap().data != before.get(name).unwrap().data;
        assert!(touched || !differs, "{name} changed");
        changed += usize::from(differs);
    }
    assert!(changed > 0);
    // Merging nothing but zeros into floats changes nothing either.
    let dense = source("glm2-tiny/model");
    let zero = LowRank { scale: 0.0, ..LowRank::open("glm2-tiny/lora/adapter-qkv") };
    let merged = Merged::new(&dense, &zero).unwrap();
    let target = room.path().join("zero");
    export_folder(&merged, &fixture("glm2-tiny/model"), &target, FolderOptions::default(), &mut quiet).unwrap();
    assert_same_bytes(&target, &fixture("glm2-tiny/model"));
}

#[test]
fn adapters_that_do_not_fit_are_refused() {
    struct Sites(Vec<&'static str>);
    impl WeightDelta for Sites {
        fn sites(&self) -> Vec<String> {
            self.0.iter().map(|site| (*site).to_string()).collect()
        }
        fn add_to(&self, _: &str, _: [usize; 2], _: &mut [f32]) -> Result<(), ModelError> {
            Ok(())
        }
    }
    let base = source("glm2-tiny/model");
    for (sites, expected) in [
        (vec![], "changes no matrix"),
        (vec!["transformer.encoder.layers.99.mlp.dense_4h_to_h.weight"], "layers.99"),
        (vec!["transformer.encoder.final_layernorm.weight"], "only matrices can be merged"),
    ] {
        let delta = Sites(sites);
        let error = Merged::new(&base, &delta).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
