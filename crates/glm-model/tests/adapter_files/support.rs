//! Bases, adapters and ways to change their files.

use glm_model::GlmConfig;
use glm_model::adapter::{AdapterFile, LoraAdapter, LoraFile, open};
use glm_model::weights::{ElementType, NewTensor, WeightFolder, stream_safetensors, stream_torch};
use glm_testkit::fixture;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Folders of fixtures that hold LoRA adapters.
pub const FOLDERS: [&str; 2] = ["glm1-tiny", "glm2-tiny"];
pub const KINDS: [&str; 2] = ["qkv", "all"];

pub fn base(folder: &str) -> GlmConfig {
    GlmConfig::read(&fixture(&format!("{folder}/model"))).unwrap()
}

pub fn adapter_folder(folder: &str, kind: &str) -> PathBuf {
    fixture(&format!("{folder}/lora/adapter-{kind}"))
}

/// One tensor: shape and values.
pub type Plain = (Vec<usize>, Vec<f32>);
pub type Tensors = BTreeMap<String, Plain>;

/// All tensors of a file or folder, as floats.
pub fn read(path: &Path) -> Tensors {
    let weights = WeightFolder::open(path).unwrap();
    let tensor = |name: &str| {
        let tensor = weights.get(name).unwrap();
        (name.to_owned(), (tensor.shape.clone(), tensor.all_f32().unwrap()))
    };
    weights.names().map(tensor).collect()
}

/// Writes tensors in the form that the ending of `path` says, with elements of `dtype`.
pub fn write(path: &Path, tensors: &Tensors, dtype: ElementType) {
    let new = |(name, (shape, _)): (&String, &Plain)| NewTensor { name: name.clone(), dtype, shape: shape.clone() };
    let list: Vec<NewTensor> = tensors.iter().map(new).collect();
    let contents: Vec<Vec<u8>> = tensors.values().map(|(_, values)| bytes(values, dtype)).collect();
    let mut content = |index: usize, out: &mut dyn Write| out.write_all(&contents[index]);
    let file = fs::File::create(path).unwrap();
    match path.extension().unwrap().to_str().unwrap() {
        "safetensors" => stream_safetensors(file, &list, &BTreeMap::new(), &mut content).unwrap(),
        _ => stream_torch(file, &list, &mut content).unwrap(),
    }
}

fn bytes(values: &[f32], dtype: ElementType) -> Vec<u8> {
    match dtype {
        ElementType::F64 => values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect(),
        ElementType::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ElementType::F16 => values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
        ElementType::BF16 => values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect(),
        ElementType::I8 => values.iter().map(|v| *v as i8 as u8).collect(),
        _ => panic!("no test needs {dtype}"),
    }
}

pub fn config(folder: &Path) -> Map<String, Value> {
    serde_json::from_slice(&fs::read(folder.join("adapter_config.json")).unwrap()).unwrap()
}

/// A copy of a peft adapter with other settings and tensors, in one weight file.
pub fn changed(
    from: &Path,
    file: &str,
    dtype: ElementType,
    change: impl FnOnce(&mut Map<String, Value>, &mut Tensors),
) -> TempDir {
    let (mut settings, mut tensors) = (config(from), read(&from.join("adapter_model.safetensors")));
    change(&mut settings, &mut tensors);
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join(file), &tensors, dtype);
    fs::write(folder.path().join("adapter_config.json"), Value::Object(settings).to_string()).unwrap();
    folder
}

pub fn lora_file(path: &Path) -> LoraFile {
    match open(path).unwrap() {
        AdapterFile::Lora(file) => file,
        AdapterFile::Prefix(_) => panic!("{} is taken for a prefix", path.display()),
    }
}

/// Values of all tensors of an adapter, in their order.
pub fn values(adapter: &LoraAdapter) -> Vec<(String, Vec<f32>)> {
    let floats = |var: &candle_core::Var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    adapter.parameters().iter().map(|(name, var)| (name.clone(), floats(var))).collect()
}

/// The error of an adapter that must not load: it names the folder or a file in it, and every one of `parts`.
pub fn refused(path: &Path, base: &GlmConfig, parts: &[&str]) {
    let error = open(path).and_then(|file| file.load(base).map(drop)).expect_err("the adapter is broken").to_string();
    assert!(error.contains(&path.display().to_string()), "no file is named: {error}");
    for part in parts {
        assert!(error.contains(part), "expected {part:?} in {error}");
    }
}
