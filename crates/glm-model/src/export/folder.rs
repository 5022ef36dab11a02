//! A complete Hugging Face folder: sharded weights, `config.json`, tokenizer, model code.

use super::report::ExportReport;
use super::source::{TensorSource, dense_layout, main_type};
use super::verify::{compare_from, rounding};
use super::write::tensor_error;
use super::{config_json, target, write};
use crate::companions;
use crate::config::GlmConfig;
use crate::glm::{Progress, layout};
use crate::quant::DenseType;
use crate::weights::{ElementType, FileFormat, NewTensor, Shards, WeightFolder};
use crate::{ModelError, Result};
use std::io::Write;
use std::ops::Range;
use std::path::Path;

/// Elements that are made, written or compared at a time.
const PART: usize = 1 << 22;

/// How the weights of a folder are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderOptions {
    /// Type of all tensors; `None`: each as the source keeps it.
    pub dtype: Option<DenseType>,
    /// File format.
    pub format: FileFormat,
    /// Most bytes of one file; a tensor that is larger has a file of its own.
    pub shard_size: u64,
}

impl Default for FolderOptions {
    fn default() -> Self {
        Self { dtype: None, format: FileFormat::Safetensors, shard_size: 5_000_000_000 }
    }
}

/// Writes the folder `target`, which must be absent or empty, reopens it and compares every value with the source. Tokenizer
/// and model code are copied from `companions`, the base's folder. `progress` is called with bytes done and bytes in all,
/// each byte counted when written and when compared.
///
/// # Errors
/// Names the tensor that does not fit its type, the file that the system refuses, or the place that is not free; `target` is
/// then as it was.
pub fn export_folder(
    source: &dyn TensorSource,
    companions: &Path,
    target: &Path,
    options: FolderOptions,
    progress: Progress<'_>,
) -> Result<ExportReport> {
    let place = target::folder(target)?;
    let report = write_folder(source, companions, place.path(), options, progress)?;
    place.commit()?;
    Ok(ExportReport { path: target.to_path_buf(), ..report })
}

/// As [`export_folder`], into a folder that is there and that the caller gives its name when all else is in it, too.
///
/// # Errors
/// As [`export_folder`]; what was written stays.
pub fn write_folder(
    source: &dyn TensorSource,
    companions: &Path,
    folder: &Path,
    options: FolderOptions,
    progress: Progress<'_>,
) -> Result<ExportReport> {
    let tensors = plan(source, options.dtype)?;
    let mut remarks = Vec::new();
    if options.dtype.is_none() && tensors.iter().any(|t| t.dtype != main_type(&tensors)) {
        remarks.push("the tensors keep the different types that the base stores them in".to_string());
    }
    config_json::write(folder, config_json::exported(source.config(), main_type(&tensors), None))?;
    let (copied, missing) = companions::copy_all(companions, folder)?;
    remarks.extend(missing);
    let shards = Shards::plan(tensors, options.format, options.shard_size);
    let (mut done, total) = (0, 2 * shards.bytes());
    let mut step = |bytes| {
        done += bytes;
        progress(done, total);
    };
    let mut bytes = |index: usize, out: &mut dyn Write| {
        let NewTensor { name, dtype, .. } = &shards.tensors()[index];
        let tensor = source.tensor(name)?;
        for part in parts(tensor.len()) {
            out.write_all(&tensor.encode_part(part, *dtype).map_err(tensor_error(name))?)?;
            source.release(name);
        }
        Ok(())
    };
    write::shards(folder, &shards, &mut bytes, &mut step)?;
    verify(source, folder, shards.tensors(), &mut step)?;
    let (tensors, bytes) = (shards.tensors().len(), shards.bytes());
    Ok(ExportReport { path: folder.to_path_buf(), tensors, bytes, copied, remarks })
}

/// The tensors of the folder with their types.
fn plan(source: &dyn TensorSource, dtype: Option<DenseType>) -> Result<Vec<NewTensor>> {
    let expected = layout::tensors(&GlmConfig { quantization_bit: None, ..source.config().clone() });
    let mut tensors = Vec::new();
    for (index, name) in dense_layout(source).into_iter().enumerate() {
        let mut tensor = source.describe(&name)?;
        if let Some((_, shape)) = expected.get(index).filter(|(_, shape)| *shape != tensor.shape) {
            return Err(tensor_error(&name)(format!("its shape is {:?}, expected {shape:?}", tensor.shape)));
        }
        tensor.dtype = match dtype {
            None => tensor.dtype,
            Some(DenseType::F32) => ElementType::F32,
            Some(DenseType::Bf16) => ElementType::BF16,
            Some(DenseType::F16) => ElementType::F16,
        };
        tensors.push(tensor);
    }
    Ok(tensors)
}

/// Opens the written folder as any user of it would, and compares it with the source.
fn verify(source: &dyn TensorSource, folder: &Path, tensors: &[NewTensor], step: &mut dyn FnMut(u64)) -> Result<()> {
    let weights = reopen(folder)?;
    for NewTensor { name, dtype, .. } in tensors {
        let found = weights.get(name).ok_or_else(|| lost(folder, name))?;
        let expected = source.tensor(name)?;
        let wrong = |reason| ModelError::file(folder, format!("tensor {name}: {reason}"));
        if found.len() != expected.len() {
            return Err(wrong(format!("it holds {} values after reopening, expected {}", found.len(), expected.len())));
        }
        for part in parts(found.len()) {
            let values = found.to_f32(part.clone()).ok_or_else(|| lost(folder, name))?;
            let wanted = expected.part(part.clone()).map_err(tensor_error(name))?;
            compare_from(part.start, &wanted, &values, 1, |v| rounding(v[0], *dtype)).map_err(wrong)?;
            source.release(name);
            weights.release(name);
        }
        step(found.data.len() as u64);
    }
    Ok(())
}

/// Ranges of so many elements together, small enough that what is made of one does not count beside the weights.
fn parts(len: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(PART).map(move |start| start..len.min(start + PART))
}

/// Opens a written folder; its tensors must be those that its own configuration asks for.
pub(super) fn reopen(folder: &Path) -> Result<WeightFolder> {
    let config = GlmConfig::read(folder)?;
    let weights = WeightFolder::open(folder)?;
    let problems = layout::differences(&config, &weights);
    if !problems.is_empty() {
        return Err(ModelError::Weights { path: folder.to_path_buf(), problems: problems.join("\n") });
    }
    Ok(weights)
}

/// An error for a tensor that was written and is not there.
pub(super) fn lost(folder: &Path, name: &str) -> ModelError {
    ModelError::file(folder, format!("tensor {name} cannot be read back after writing"))
}
