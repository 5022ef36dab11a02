//! Writes the trained tensors of an adapter in both formats that others read.

use crate::weights::{Content, ElementType, NewTensor, stream_safetensors, stream_torch};
use crate::{ModelError, Result};
use candle_core::Var;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes the tensors into `torch` and `safetensors`, two names in `folder`; `metadata` goes into the header of the latter.
/// Equal tensors give equal files.
///
/// # Errors
/// When a value is not finite (such a file is never written), or the disk refuses.
pub(super) fn both(
    folder: &Path,
    [torch, safetensors]: [&str; 2],
    parameters: &[(String, Var)],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let (mut tensors, mut contents): (Vec<NewTensor>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
    for (name, var) in parameters {
        let values = var.as_tensor().flatten_all()?.to_vec1::<f32>()?;
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(ModelError::Setting(format!("{name} holds {} at element {at}; it is not saved", values[at])));
        }
        tensors.push(NewTensor { name: name.clone(), dtype: ElementType::F32, shape: var.dims().to_vec() });
        contents.push(values.iter().flat_map(|v| v.to_le_bytes()).collect());
    }
    let mut content = |index: usize, out: &mut dyn Write| out.write_all(&contents[index]);
    file(&folder.join(torch), &mut content, |out, content| stream_torch(out, &tensors, content))?;
    let stream =
        |out: &mut BufWriter<File>, content: &mut Content<'_>| stream_safetensors(out, &tensors, metadata, content);
    file(&folder.join(safetensors), &mut content, stream)
}

fn file(
    path: &Path,
    content: &mut Content<'_>,
    stream: impl FnOnce(&mut BufWriter<File>, &mut Content<'_>) -> io::Result<()>,
) -> Result<()> {
    let written = File::create(path).map(BufWriter::new).and_then(|mut out| {
        stream(&mut out, content)?;
        out.flush()
    });
    written.map_err(ModelError::io(path))
}
