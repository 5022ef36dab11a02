//! Which data a run was trained on.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::DataError;

/// SHA-256 of a file's contents as 64 lower-case hexadecimal digits, as `sha256sum` prints it.
///
/// # Errors
/// [`DataError::Io`].
pub fn fingerprint_file(file: &Path) -> Result<String, DataError> {
    let failed = |source| DataError::Io { file: file.into(), source };
    let mut reader = File::open(file).map_err(failed)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => hash.update(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(e)),
        }
    }
    Ok(hash.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
        hex
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_sha256sum() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x");
        std::fs::write(&file, "abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(fingerprint_file(&file).unwrap(), expected);
        assert!(fingerprint_file(dir.path()).unwrap_err().to_string().contains("cannot be read"));
    }
}
