//! A small valid base, whole or taken apart, and what must hold for every broken one.

use glm_model::random_base::RandomBase;
use glm_model::weights::{FileFormat, WeightFolder};
use glm_model::{DenseType, GlmConfig, LoadOptions, Network, Scheme};
use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Both formats with the name of the one file that they make of a small base.
pub const FORMATS: [(FileFormat, &str); 2] =
    [(FileFormat::Torch, "pytorch_model.bin"), (FileFormat::Safetensors, "model.safetensors")];

/// A base of two narrow layers in files of at most `shard_size` bytes.
pub fn small_base(format: FileFormat, shard_size: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sizes = vec![
        ("num_layers", 2),
        ("hidden_size", 32),
        ("ffn_hidden_size", 24),
        ("num_attention_heads", 4),
        ("kv_channels", 8),
        ("padded_vocab_size", 40),
    ];
    let base = RandomBase {
        variant: glm_data::Variant::ChatGlm2,
        sizes,
        seed: 7,
        dtype: DenseType::F16,
        format,
        shard_size,
        tokenizer: None,
    };
    base.write(folder.path(), &mut |_, _| {}).unwrap();
    folder
}

/// The same of the first generation.
pub fn small_first_generation(format: FileFormat) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sizes = vec![
        ("num_layers", 2),
        ("hidden_size", 32),
        ("inner_hidden_size", 24),
        ("num_attention_heads", 4),
        ("vocab_size", 40),
    ];
    let base = RandomBase {
        variant: glm_data::Variant::ChatGlm,
        sizes,
        seed: 7,
        dtype: DenseType::F16,
        format,
        shard_size: u64::MAX,
        tokenizer: None,
    };
    base.write(folder.path(), &mut |_, _| {}).unwrap();
    folder
}

/// A folder with the configuration of `base` and these bytes as its weights.
pub fn with_weights(base: &Path, name: &str, bytes: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(base.join("config.json"), folder.path().join("config.json")).unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    folder
}

/// A torch archive with another pickle and right checksums, as someone who means harm would make it.
pub fn with_pickle(archive: &[u8], change: impl Fn(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let mut old = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut new = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for i in 0..old.len() {
        let mut file = old.by_index(i).unwrap();
        let name = file.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        if name.ends_with("/data.pkl") {
            bytes = change(bytes);
        }
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        new.start_file(name, options).unwrap();
        new.write_all(&bytes).unwrap();
    }
    new.finish().unwrap().into_inner()
}

/// Loads a folder in every form; the first error of each step as text.
pub fn load(folder: &Path) -> Result<(), String> {
    let text = |e: glm_model::ModelError| e.to_string();
    let weights = WeightFolder::open(folder).map_err(text)?;
    let config = GlmConfig::read(folder).map_err(text)?;
    for scheme in [Scheme::Dense { dtype: None }, Scheme::Int8, Scheme::Int4, Scheme::Int4Group { group: 32 }] {
        let options = LoadOptions { scheme, ..LoadOptions::default() };
        // The MLP of the small base is narrower than a group, which is an error of its own.
        match Network::from_weights(config.clone(), &weights, options, &mut |_, _| {}) {
            Err(error) if scheme == (Scheme::Int4Group { group: 32 }) && error.to_string().contains("24 columns") => {}
            result => drop(result.map_err(text)?),
        }
    }
    Ok(())
}

/// The error of a folder that must not load: it names the folder or a file in it, and every one of `parts`.
pub fn refused(folder: &Path, parts: &[&str]) {
    let error = load(folder).expect_err("the folder is broken");
    assert!(error.contains(&folder.display().to_string()), "no file is named: {error}");
    for part in parts {
        assert!(error.contains(part), "expected {part:?} in {error}");
    }
}

/// All files of a folder that end so, sorted.
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|path| path.to_string_lossy().ends_with(ending));
    found.sort();
    found
}
