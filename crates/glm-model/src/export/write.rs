//! Streams tensors into weight files, one at a time, with errors that keep their names.

use crate::weights::Shards;
use crate::{ModelError, Result};
use std::io::{self, Write};
use std::path::Path;

/// Writes the bytes of the tensor of that index.
pub(super) type Bytes<'b> = dyn FnMut(usize, &mut dyn Write) -> Result<(), Failed> + 'b;

/// Why a tensor was not written: it could not be made, or the file does not take it.
pub(super) enum Failed {
    Tensor(ModelError),
    File(io::Error),
}

impl From<ModelError> for Failed {
    fn from(error: ModelError) -> Self {
        Self::Tensor(error)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

/// Writes the shards into `folder`. `progress` is called with the bytes of every tensor written.
pub(super) fn shards(
    folder: &Path,
    shards: &Shards,
    bytes: &mut Bytes<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let mut failure = None;
    let written = shards.write(folder, &mut |index, out| {
        match bytes(index, out) {
            Ok(()) => progress(shards.tensors()[index].bytes()),
            Err(Failed::File(error)) => return Err(error),
            Err(Failed::Tensor(error)) => {
                failure = Some(error);
                return Err(io::Error::other("the tensor could not be made"));
            }
        }
        Ok(())
    });
    // The reason stands behind the error that the writer saw.
    match failure {
        Some(error) => Err(error),
        None => written,
    }
}

/// An error about one tensor of an export.
pub(super) fn tensor_error(name: &str) -> impl FnOnce(String) -> ModelError {
    move |reason| ModelError::Setting(format!("tensor {name} cannot be exported: {reason}"))
}
