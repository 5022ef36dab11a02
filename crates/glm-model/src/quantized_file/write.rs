//! Writing a file from a network that was quantized just now.

use super::QuantizedFile;
use super::open::checksum;
use crate::atomic::{self, FileError};
use crate::glm::{Network, Weight};
use crate::quant::FrozenWeight;
use crate::weights::stream_safetensors;
use glm_kernels::cpu::frozen::Values;
use half::f16;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

impl QuantizedFile {
    /// Writes the matrices of `network`, which was loaded with the options that this was made with. The file appears when it
    /// is whole; one that was there is replaced.
    ///
    /// # Errors
    /// Names the file or folder that the system refuses.
    pub fn write(&self, network: &Network) -> Result<(), FileError> {
        let refused = |reason: &str| {
            let wrong = io::Error::new(io::ErrorKind::InvalidInput, reason);
            FileError::at("write", &self.path)(wrong)
        };
        let weights: Vec<_> = network.blocks().iter().flat_map(|block| block.linears()).map(|l| &l.weight).collect();
        let mut contents: Vec<Cow<'_, [u8]>> = Vec::new();
        for weight in &weights {
            let Some(parts) = frozen(weight).and_then(|weight| parts(&**weight)) else {
                return Err(refused("not all matrices are quantized"));
            };
            contents.extend(parts);
        }
        let tensors = self.tensors();
        if contents.len() != tensors.len() {
            return Err(refused("the network has another number of blocks"));
        }
        let sums: BTreeMap<&str, u32> =
            tensors.iter().zip(&contents).map(|(tensor, bytes)| (tensor.name.as_str(), checksum(bytes))).collect();
        let header = self.identity.header(serde_json::json!(sums).to_string());
        let folder = atomic::parent(&self.path);
        std::fs::create_dir_all(folder).map_err(FileError::at("create", folder))?;
        atomic::write_file_with(&self.path, |out| {
            stream_safetensors(out, &tensors, &header, &mut |index, out| out.write_all(&contents[index]))
        })
    }
}

impl QuantizedFile {
    /// Removes what processes left that were killed while they wrote it: it is large. Errors are left for [`Self::write`].
    pub fn remove_leftovers(&self) {
        let _ = atomic::remove_leftovers_of(&self.path);
    }
}

fn frozen(weight: &Weight) -> Option<&Arc<dyn FrozenWeight>> {
    match weight {
        Weight::Frozen(frozen) => Some(&frozen.weight),
        Weight::Trainable(_) => None,
    }
}

/// Integers and scales of a quantized matrix.
pub(super) fn parts(weight: &dyn FrozenWeight) -> Option<[Cow<'_, [u8]>; 2]> {
    let matrix = weight.matrix();
    let rows = || {
        // They were half precision before they were widened.
        let scales = matrix.row_scales?.iter().flat_map(|s| f16::from_f32(*s).to_le_bytes());
        Some(Cow::Owned(scales.collect()))
    };
    match matrix.values {
        Values::Int4(packed) => Some([Cow::Borrowed(packed.bytes()), rows()?]),
        Values::Int8(packed) => Some([Cow::Borrowed(packed), rows()?]),
        Values::Int4Group { packed, scales, .. } => Some([Cow::Borrowed(packed), Cow::Borrowed(scales.as_flattened())]),
        _ => None,
    }
}
