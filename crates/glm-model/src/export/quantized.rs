//! A folder in the official INT4 or INT8 layout: `X.weight` as small integers and `X.weight_scale` in half precision for
//! the linear layers of the blocks, everything else in half precision, one `pytorch_model.bin`.

use super::folder::{lost, reopen};
use super::report::ExportReport;
use super::source::{Packed, TensorSource, dense_layout, scale_name};
use super::verify::{compare, largest, rounding};
use super::write::tensor_error;
use super::{config_json, target, write};
use crate::companions;
use crate::config::GlmConfig;
use crate::glm::{Progress, layout};
use crate::quant::{RowInt4, RowInt8};
use crate::weights::{ElementType, FileFormat, NewTensor, Shards, TensorBytes};
use crate::{ModelError, Result};
use half::f16;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

/// Writes the folder `target`, which must be absent or empty, with linear layers of `bits` (4 or 8), reopens it and compares
/// every value with the source within the step of its row. Matrices that the source stores with the same bits, and that
/// nothing changed, are taken over as they are. The other arguments are those of [`super::export_folder`].
///
/// # Errors
/// As [`super::export_folder`]; `bits` that no official folder has are refused.
pub fn export_quantized(
    source: &dyn TensorSource,
    bits: u8,
    companions: &Path,
    target: &Path,
    progress: Progress<'_>,
) -> Result<ExportReport> {
    if !matches!(bits, 4 | 8) {
        return Err(ModelError::Setting(format!("{bits} bits were asked for; the official layouts have 4 or 8")));
    }
    let place = target::folder(target)?;
    config_json::write(place.path(), config_json::exported(source.config(), ElementType::F16, Some(bits)))?;
    let (copied, mut remarks) = companions::copy_all(companions, place.path())?;
    if !copied.iter().any(|name| name == "quantization.py") {
        remarks.push(format!(
            "{} has no quantization.py, which Python programs need to load the weights",
            companions.display()
        ));
    }
    let tensors = plan(source, bits)?;
    let shards = Shards::plan(tensors, FileFormat::Torch, u64::MAX);
    let (mut done, total) = (0, 2 * shards.bytes());
    let mut step = |bytes| {
        done += bytes;
        progress(done, total);
    };
    // A matrix and its scales are made together and written one after the other.
    let mut scales: Option<(String, Vec<u8>)> = None;
    let mut bytes = |index: usize, out: &mut dyn Write| {
        let NewTensor { name, dtype, .. } = &shards.tensors()[index];
        if let Some((made, bytes)) = scales.take_if(|(made, _)| made == name) {
            source.release(made.trim_end_matches("_scale"));
            out.write_all(&bytes)?;
        } else if *dtype == ElementType::I8 {
            let quantized = quantize(source, name, bits)?;
            scales = scale_name(name).map(|scale| (scale, quantized.scales));
            out.write_all(&quantized.weight)?;
        } else {
            out.write_all(&source.tensor(name)?.encode(*dtype).map_err(tensor_error(name))?)?;
        }
        Ok(())
    };
    write::shards(place.path(), &shards, &mut bytes, &mut step)?;
    verify(source, bits, place.path(), shards.tensors(), &mut step)?;
    place.commit()?;
    let (tensors, bytes) = (shards.tensors().len(), shards.bytes());
    Ok(ExportReport { path: target.to_path_buf(), tensors, bytes, copied, remarks })
}

/// The official tensors: scales directly behind their matrix.
fn plan(source: &dyn TensorSource, bits: u8) -> Result<Vec<NewTensor>> {
    let config = GlmConfig { quantization_bit: Some(bits), ..source.config().clone() };
    let quantized: BTreeSet<String> =
        layout::tensors(&config).into_iter().map(|(name, _)| name).filter(|n| n.ends_with(".weight_scale")).collect();
    let mut tensors = Vec::new();
    for name in dense_layout(source) {
        let NewTensor { name, shape, .. } = source.describe(&name)?;
        match scale_name(&name).filter(|scale| quantized.contains(scale)) {
            None => tensors.push(NewTensor { name, dtype: ElementType::F16, shape }),
            Some(scale) => {
                let &[out, inner] = shape.as_slice() else {
                    return Err(tensor_error(&name)(format!("its shape is {shape:?}, expected two dimensions")));
                };
                let shape = vec![out, inner * usize::from(bits) / 8];
                tensors.push(NewTensor { name, dtype: ElementType::I8, shape });
                tensors.push(NewTensor { name: scale, dtype: ElementType::F16, shape: vec![out] });
            }
        }
    }
    Ok(tensors)
}

struct Quantized<'a> {
    weight: Cow<'a, [u8]>,
    scales: Vec<u8>,
}

fn quantize<'a>(source: &'a dyn TensorSource, name: &str, bits: u8) -> Result<Quantized<'a>> {
    if let Some(packed) = source.packed(name).filter(|packed| packed.bits == bits) {
        let scales = packed.scale.to_f16(0..packed.scale.len()).unwrap_or_default();
        return Ok(Quantized { weight: Cow::Borrowed(packed.weight.data), scales: little_endian(&scales) });
    }
    let tensor = source.tensor(name)?;
    let shape = tensor.shape().to_vec();
    // The official rule begins with the weight in half precision.
    let data = tensor.encode(ElementType::F16).map_err(tensor_error(name))?;
    let tensor = TensorBytes { dtype: ElementType::F16, shape, data: &data };
    let (weight, scales) = match bits {
        4 => RowInt4::quantize(&tensor).map(|w| (w.packed().to_vec(), little_endian(w.half_scales()))),
        _ => RowInt8::quantize(&tensor).map(|w| (w.packed().to_vec(), little_endian(w.half_scales()))),
    }
    .map_err(tensor_error(name))?;
    Ok(Quantized { weight: Cow::Owned(weight), scales })
}

fn little_endian(values: &[f16]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Opens the written folder as any user of it would, and compares it with the source.
fn verify(
    source: &dyn TensorSource,
    bits: u8,
    folder: &Path,
    tensors: &[NewTensor],
    step: &mut dyn FnMut(u64),
) -> Result<()> {
    let weights = reopen(folder)?;
    for tensor in tensors.iter().filter(|tensor| !tensor.name.ends_with(".weight_scale")) {
        let name = &tensor.name;
        let expected = source.tensor(name)?.into_f32().map_err(tensor_error(name))?;
        let stored = weights.get(name).ok_or_else(|| lost(folder, name))?;
        let wrong = |reason| ModelError::file(folder, format!("tensor {name}: {reason}"));
        if tensor.dtype == ElementType::I8 {
            let scale = scale_name(name).and_then(|s| weights.get(&s)).ok_or_else(|| lost(folder, name))?;
            let found = Packed { bits, weight: stored, scale }.to_f32().map_err(wrong)?;
            let inner = tensor.shape[1] * 8 / usize::from(bits);
            compare(&expected, &found, inner, |row| row_bound(row, bits)).map_err(wrong)?;
        } else {
            let found = stored.all_f32().ok_or_else(|| lost(folder, name))?;
            compare(&expected, &found, 1, |v| rounding(v[0], tensor.dtype)).map_err(wrong)?;
        }
        step(tensor.bytes());
        source.release(name);
        weights.release(name);
    }
    Ok(())
}

/// Most that a row's values move: half a step of `max|w| / (2^(bits-1) - 1)`, and the rounding of the scale, of the weight
/// and of the quotient to half precision, each of which may move the largest integer's value by 2^-11 of it.
fn row_bound(row: &[f32], bits: u8) -> f32 {
    let largest = largest(row);
    let step = largest / ((1 << (bits - 1)) - 1) as f32;
    // Scales below the smallest normal half have absolute steps of 2^-24, multiplied by up to 127.
    0.5 * step + largest * (4.0 / 2048.0) + 128.0 / 16_777_216.0
}
