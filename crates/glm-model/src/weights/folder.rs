//! A folder of weights: one file, or shards with their index.

use super::mmap::{Mapped, MappedPart};
use super::{Entry, TensorBytes, entries};
use crate::{ModelError, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names that Hugging Face uses, most preferred first; an index stands before its whole file.
const CANDIDATES: [&str; 4] =
    ["model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json", "pytorch_model.bin"];

/// All tensors of a folder (or of one file), mapped, not read.
#[derive(Debug)]
pub struct WeightFolder {
    path: PathBuf,
    files: Vec<Arc<Mapped>>,
    tensors: BTreeMap<String, (usize, Entry)>,
}

impl WeightFolder {
    /// Opens the weights of a folder, or one weight file.
    ///
    /// # Errors
    /// Names the missing file or shard, the broken file, or the tensor that the index and the shards disagree about.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_file() {
            return Self::from_files(path, vec![path.to_path_buf()]);
        }
        if !path.is_dir() {
            return Err(ModelError::file(path, "no such file or folder"));
        }
        let Some(name) = CANDIDATES.into_iter().find(|name| path.join(name).is_file()) else {
            let wanted = CANDIDATES.join(", ");
            return Err(ModelError::file(path, format!("the folder holds no weights; expected one of: {wanted}")));
        };
        let main = path.join(name);
        if !name.ends_with(".index.json") {
            return Self::from_files(path, vec![main]);
        }
        let index = read_index(&main)?;
        let shards: BTreeSet<&String> = index.values().collect();
        let files: Vec<PathBuf> = shards.iter().map(|shard| path.join(shard)).collect();
        let missing: Vec<_> = shards.iter().filter(|s| !path.join(s).is_file()).map(|s| s.as_str()).collect();
        if !missing.is_empty() {
            let reason =
                format!("these files that it names are missing: {}; copy or download them", missing.join(", "));
            return Err(ModelError::file(main, reason));
        }
        let folder = Self::from_files(path, files)?;
        for (name, shard) in &index {
            match folder.tensors.get(name) {
                None => {
                    return Err(ModelError::file(
                        path.join(shard),
                        format!("tensor {name}, which the index promises, is not in it"),
                    ));
                }
                Some((file, _)) if folder.files[*file].path() != path.join(shard) => {
                    return Err(ModelError::file(main, format!("tensor {name} is in another shard than {shard}")));
                }
                Some(_) => {}
            }
        }
        Ok(folder)
    }

    fn from_files(path: &Path, paths: Vec<PathBuf>) -> Result<Self> {
        let mut folder = Self { path: path.to_path_buf(), files: Vec::new(), tensors: BTreeMap::new() };
        for file in paths {
            let mapped = Mapped::open(&file)?;
            for entry in entries(&file, mapped.bytes())? {
                let name = entry.name.clone();
                if folder.tensors.insert(name.clone(), (folder.files.len(), entry)).is_some() {
                    return Err(ModelError::file(&file, format!("tensor {name} is there twice")));
                }
            }
            folder.files.push(Arc::new(mapped));
        }
        Ok(folder)
    }

    /// Where the weights are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> u64 {
        self.tensors.values().map(|(_, entry)| entry.range.len() as u64).sum()
    }

    /// The files, and the bytes of each as a whole.
    pub fn files(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.files.iter().map(|file| (file.path(), file.bytes().len() as u64))
    }

    /// Type, shape and place of a tensor.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.tensors.get(name).map(|(_, entry)| entry)
    }

    /// A tensor's bytes, still on disk until they are read.
    pub fn get(&self, name: &str) -> Option<TensorBytes<'_>> {
        let (file, entry) = self.tensors.get(name)?;
        let data = &self.files[*file].bytes()[entry.range.clone()];
        Some(TensorBytes { dtype: entry.dtype, shape: entry.shape.clone(), data })
    }

    /// A tensor's bytes, which stay mapped when the folder is closed.
    pub fn part(&self, name: &str) -> Option<MappedPart> {
        let (file, entry) = self.tensors.get(name)?;
        Some(MappedPart::new(&self.files[*file], entry.range.clone()))
    }

    /// Says that a tensor is needed soon; nothing if there is none of that name.
    pub fn fetch(&self, name: &str) {
        if let Some((file, entry)) = self.tensors.get(name) {
            self.files[*file].fetch(entry.range.clone());
        }
    }

    /// Says that a tensor was read and its pages need not stay resident.
    pub fn release(&self, name: &str) {
        if let Some((file, entry)) = self.tensors.get(name) {
            self.files[*file].release(entry.range.clone());
        }
    }
}

fn read_index(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).map_err(ModelError::io(path))?;
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let index: Index =
        serde_json::from_str(&text).map_err(|e| ModelError::file(path, format!("not a weight index: {e}")))?;
    // A shard lies beside its index; anything else in a name is an attempt to read other files.
    if let Some(name) = index.weight_map.values().find(|n| Path::new(n).file_name().is_none_or(|f| f != n.as_str())) {
        return Err(ModelError::file(path, format!("it names a file outside its folder: {name}")));
    }
    Ok(index.weight_map)
}
