//! Streams tensors into weight files, one at a time, with errors that keep their names.

use crate::weights::Shards;
use crate::{ModelError, Result};
use std::borrow::Cow;
use std::path::Path;

/// Makes the bytes of the tensor of that index.
pub(super) type Bytes<'a, 'b> = dyn FnMut(usize) -> Result<Cow<'a, [u8]>> + 'b;

/// Writes the shards into `folder`. `progress` is called with the bytes of every tensor written.
pub(super) fn shards(
    folder: &Path,
    shards: &Shards,
    bytes: &mut Bytes<'_, '_>,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let mut failure = None;
    let written = shards.write(folder, &mut |index, out| match bytes(index) {
        Ok(bytes) => {
            out.write_all(&bytes)?;
            progress(bytes.len() as u64);
            Ok(())
        }
        Err(error) => {
            failure = Some(error);
            Err(std::io::Error::other("the tensor could not be made"))
        }
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
