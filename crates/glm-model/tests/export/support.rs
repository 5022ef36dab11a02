//! Bases and comparisons.

use glm_data::{Tokenizer, Variant};
use glm_model::export::{FolderSource, SourceTensor, TensorSource};
use glm_model::glm::layout;
use glm_model::weights::{NewTensor, WeightFolder};
use glm_model::{GlmConfig, ModelError};
use glm_testkit::{fixture, write_random_base};
use std::path::{Path, PathBuf};

pub fn source(path: &str) -> FolderSource {
    FolderSource::open(&fixture(path)).unwrap()
}

/// A random base with the small vocabulary and files as published folders have them, in `folder/base`.
pub fn base_with_files(folder: &Path) -> PathBuf {
    let base = folder.join("base");
    std::fs::create_dir(&base).unwrap();
    let vocabulary = fixture("tiny-tokenizer/tokenizer.model");
    let tokens = Tokenizer::from_file(&vocabulary, Variant::ChatGlm2).unwrap().vocab_size();
    // One row more than tokens: published embeddings are rounded up.
    write_random_base(&base, tokens + 1, 3);
    std::fs::copy(vocabulary, base.join("tokenizer.model")).unwrap();
    for name in ["tokenizer_config.json", "modeling_chatglm.py", "quantization.py", "notes.txt", "pytorch_model.pyc"] {
        std::fs::write(base.join(name), "{}").unwrap();
    }
    base
}

/// Names that a folder must not have left behind.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub fn quiet(_: u64, _: u64) {}

/// Every tensor of two folders has the same bytes, type and shape.
pub fn assert_same_bytes(found: &Path, expected: &Path) {
    let (found, expected) = (WeightFolder::open(found).unwrap(), WeightFolder::open(expected).unwrap());
    assert!(found.names().eq(expected.names()), "the names differ");
    for name in expected.names() {
        let (a, b) = (found.get(name).unwrap(), expected.get(name).unwrap());
        assert_eq!((a.dtype, &a.shape), (b.dtype, &b.shape), "{name}");
        assert!(a.data == b.data, "{name} differs");
    }
}

/// A source that changes one tensor of another.
pub struct Changed<'a> {
    pub base: &'a FolderSource,
    pub config: GlmConfig,
    pub name: String,
    pub value: f32,
}

impl TensorSource for Changed<'_> {
    fn config(&self) -> &GlmConfig {
        &self.config
    }

    fn describe(&self, name: &str) -> Result<NewTensor, ModelError> {
        self.base.describe(name)
    }

    fn tensor(&self, name: &str) -> Result<SourceTensor<'_>, ModelError> {
        let tensor = self.base.tensor(name)?;
        if name != self.name {
            return Ok(tensor);
        }
        let (shape, kept_as) = (tensor.shape().to_vec(), tensor.kept_as());
        let mut values = tensor.into_f32().map_err(ModelError::Setting)?;
        *values.last_mut().unwrap() = self.value;
        Ok(SourceTensor::computed(shape, kept_as, values))
    }
}

/// The first matrix of a block.
pub fn some_matrix(config: &GlmConfig) -> String {
    let tensors = layout::tensors(config).into_iter();
    let matrix = |(name, shape): &(String, Vec<usize>)| shape.len() == 2 && name.contains("layers.0.");
    tensors.filter(matrix).map(|(name, _)| name).next().unwrap()
}
