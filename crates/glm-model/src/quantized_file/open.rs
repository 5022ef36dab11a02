//! Taking a file into use.

use super::identity::SUMS;
use super::{Quantized, QuantizedFile, scale_name};
use crate::ModelError;
use crate::quant::{self, FrozenWeight, Group4, InterleavedInt4, Scheme};
use crate::weights::{NewTensor, WeightFolder, safetensors_metadata};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

/// Bytes whose checksum one thread computes at a time.
const PART: usize = 8 << 20;

impl QuantizedFile {
    /// Maps the matrices; `None` when the file is not there. Every byte is read once for its checksum.
    ///
    /// # Errors
    /// Why the file is of no use, as it fits behind its name: then it should be written again.
    pub fn open(&self) -> Result<Option<Quantized>, String> {
        let Some(header) = self.header()? else { return Ok(None) };
        let file = WeightFolder::open(&self.path).map_err(|error| self.without_path(&error))?;
        let tensors = self.tensors();
        let entry = |tensor: &NewTensor| file.entry(&tensor.name).map(|found| (found.dtype, found.shape.as_slice()));
        if let Some(tensor) = tensors.iter().find(|t| entry(t) != Some((t.dtype, t.shape.as_slice()))) {
            return Err(format!("{} is not in it as expected", tensor.name));
        }
        check_sums(&file, &tensors, header.get(SUMS).map_or("", String::as_str))?;
        let matrices = self.matrices.iter().map(|(name, shape)| {
            let weight =
                matrix(&file, name, *shape, self.scheme).map_err(|reason| format!("tensor {name}: {reason}"))?;
            Ok((name.clone(), weight))
        });
        Ok(Some(Quantized(matrices.collect::<Result<_, String>>()?)))
    }
}

impl QuantizedFile {
    /// Whether the file says of itself that it holds this base in this form; its tensors are not read.
    pub fn is_current(&self) -> bool {
        matches!(self.header(), Ok(Some(_)))
    }

    /// The header of the right file; `None` when there is no file.
    fn header(&self) -> Result<Option<BTreeMap<String, String>>, String> {
        match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
            Ok(_) => {}
        }
        let header = safetensors_metadata(&self.path).map_err(|error| self.without_path(&error))?;
        self.identity.difference(&header).map_or(Ok(Some(header)), |reason| Err(reason.into()))
    }

    fn without_path(&self, error: &ModelError) -> String {
        let text = error.to_string();
        text.strip_prefix(&format!("{}: ", self.path.display())).map_or(text.clone(), str::to_owned)
    }
}

/// One matrix, its integers left in the file.
fn matrix(file: &WeightFolder, name: &str, shape: [usize; 2], scheme: Scheme) -> Result<Arc<dyn FrozenWeight>, String> {
    let missing = || "it is missing".to_owned();
    let weight = file.get(name).ok_or_else(missing)?;
    let scale = file.get(&scale_name(name)).ok_or_else(missing)?;
    let part = file.part(name);
    match scheme {
        Scheme::Int4Group { group } => Ok(Arc::new(Group4::load(group, &weight, &scale, part)?)),
        Scheme::Int4 => InterleavedInt4::load(shape, &weight, &scale, part),
        Scheme::Int8 => quant::load_official(8, &weight, &scale, part),
        Scheme::Dense { .. } => Err("floats are not kept here".into()),
    }
}

/// Compares the checksums of all tensors.
fn check_sums(file: &WeightFolder, tensors: &[NewTensor], sums: &str) -> Result<(), String> {
    let sums: BTreeMap<String, u32> =
        serde_json::from_str(sums).map_err(|error| format!("its checksums cannot be read ({error})"))?;
    let damaged = tensors.par_iter().find_any(|tensor| {
        let found = file.get(&tensor.name).map(|found| checksum(found.data));
        found.is_none() || sums.get(&tensor.name).copied() != found
    });
    damaged.map_or(Ok(()), |tensor| Err(format!("it is damaged: {} has another checksum", tensor.name)))
}

/// CRC-32 of bytes, computed by all threads.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let part = |part: &[u8]| {
        let mut sum = crc32fast::Hasher::new();
        sum.update(part);
        sum
    };
    let joined = bytes.par_chunks(PART).map(part).reduce_with(|mut before, after| {
        before.combine(&after);
        before
    });
    joined.unwrap_or_default().finalize()
}
