//! Writes the weights of a folder under the names that Hugging Face uses: one file, or numbered ones and their index.

use super::{Content, NewTensor, stream_safetensors, stream_torch};
use crate::{ModelError, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// How weights lie in their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// `pytorch_model….bin`: torch zip archives.
    Torch,
    /// `model….safetensors`.
    Safetensors,
}

impl FileFormat {
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Torch => ("pytorch_model", "bin"),
            Self::Safetensors => ("model", "safetensors"),
        }
    }
}

/// Tensors, and which file each goes into.
#[derive(Debug)]
pub struct Shards {
    format: FileFormat,
    tensors: Vec<NewTensor>,
    files: Vec<Range<usize>>,
}

impl Shards {
    /// Spreads tensors over files of at most `most_bytes`, in their order; a tensor that is larger has a file of its own.
    pub fn plan(tensors: Vec<NewTensor>, format: FileFormat, most_bytes: u64) -> Self {
        let (mut files, mut first, mut bytes) = (Vec::new(), 0, 0u64);
        for (i, tensor) in tensors.iter().enumerate() {
            if i > first && bytes.saturating_add(tensor.bytes()) > most_bytes {
                files.push(first..i);
                (first, bytes) = (i, 0);
            }
            bytes = bytes.saturating_add(tensor.bytes());
        }
        files.push(first..tensors.len());
        Self { format, tensors, files }
    }

    /// The tensors, in the order in which their bytes are asked for.
    pub fn tensors(&self) -> &[NewTensor] {
        &self.tensors
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> u64 {
        self.tensors.iter().map(NewTensor::bytes).sum()
    }

    fn name(&self, file: usize) -> String {
        let (stem, ending) = self.format.names();
        match self.files.len() {
            1 => format!("{stem}.{ending}"),
            n => format!("{stem}-{:05}-of-{n:05}.{ending}", file + 1),
        }
    }

    /// Writes the files, and the index when there are several, into an existing folder.
    ///
    /// # Errors
    /// Names the file that the system refuses.
    pub fn write(&self, folder: &Path, content: &mut Content<'_>) -> Result<()> {
        for (number, range) in self.files.iter().enumerate() {
            let path = folder.join(self.name(number));
            self.write_file(&path, range, content).map_err(ModelError::io(&path))?;
        }
        if self.files.len() == 1 {
            return Ok(());
        }
        let (stem, ending) = self.format.names();
        let path: PathBuf = folder.join(format!("{stem}.{ending}.index.json"));
        let places = self.files.iter().enumerate().flat_map(|(number, range)| {
            self.tensors[range.clone()].iter().map(move |tensor| (tensor.name.as_str(), self.name(number)))
        });
        let index = serde_json::json!({
            "metadata": { "total_size": self.bytes() },
            "weight_map": places.collect::<BTreeMap<_, _>>(),
        });
        std::fs::write(&path, format!("{index:#}\n")).map_err(ModelError::io(&path))
    }

    fn write_file(&self, path: &Path, range: &Range<usize>, content: &mut Content<'_>) -> std::io::Result<()> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        let mut content = |index: usize, out: &mut dyn Write| content(range.start + index, out);
        let tensors = &self.tensors[range.clone()];
        match self.format {
            FileFormat::Torch => stream_torch(&mut out, tensors, &mut content)?,
            FileFormat::Safetensors => {
                let metadata = BTreeMap::from([("format".to_string(), "pt".to_string())]);
                stream_safetensors(&mut out, tensors, &metadata, &mut content)?;
            }
        }
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{ElementType, WeightFolder};

    fn tensors() -> Vec<NewTensor> {
        use ElementType::{BF16, Bool, F16, F32, F64, I8, I16, I32, I64, U8};
        let types = [F64, F32, F16, BF16, I64, I32, I16, I8, U8, Bool];
        let new = |(i, dtype)| NewTensor { name: format!("layers.{i}.weight"), dtype, shape: vec![3, 5 + i] };
        types
            .into_iter()
            .enumerate()
            .map(new)
            .chain([NewTensor { name: "scalar".into(), dtype: F32, shape: vec![] }])
            .collect()
    }

    /// Bytes that tell the tensors apart.
    fn bytes(index: usize, tensor: &NewTensor) -> Vec<u8> {
        (0..tensor.bytes()).map(|b| (b as usize * 7 + index) as u8).collect()
    }

    #[test]
    fn every_element_type_comes_back_from_one_file_and_from_many() {
        for format in [FileFormat::Torch, FileFormat::Safetensors] {
            for (most_bytes, files) in [(u64::MAX, 1), (150, 7), (1, 11)] {
                let folder = tempfile::tempdir().unwrap();
                let shards = Shards::plan(tensors(), format, most_bytes);
                shards.write(folder.path(), &mut |i, out| out.write_all(&bytes(i, &shards.tensors()[i]))).unwrap();
                let read = WeightFolder::open(folder.path()).unwrap();
                assert_eq!(read.files().count(), files, "{format:?} {most_bytes}");
                assert_eq!(read.names().count(), tensors().len());
                for (i, tensor) in tensors().iter().enumerate() {
                    let found = read.get(&tensor.name).unwrap();
                    assert_eq!((found.dtype, &found.shape), (tensor.dtype, &tensor.shape));
                    assert_eq!(found.data, bytes(i, tensor), "{format:?} {}", tensor.name);
                }
            }
        }
    }

    #[test]
    fn a_tensor_with_too_few_bytes_is_an_error() {
        for format in [FileFormat::Torch, FileFormat::Safetensors] {
            let folder = tempfile::tempdir().unwrap();
            let shards = Shards::plan(tensors(), format, u64::MAX);
            let error = shards.write(folder.path(), &mut |_, out| out.write_all(&[0; 7])).unwrap_err().to_string();
            assert!(error.contains("layers.0.weight: 7 bytes were given, expected 120"), "{error}");
        }
    }
}
