//! A GGUF file, as llama.cpp uses and `glmtune export --to gguf` writes it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use glm_model::export::{GGUF_MAGIC, GgufSummary};

use super::report::{Report, bytes, count, several};

/// Whether a file is one, by its name or its first bytes.
pub fn is_one(path: &Path) -> bool {
    let mut first = [0; 4];
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"))
        || File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok_and(|()| first == *GGUF_MAGIC)
}

/// Shows what its header says.
///
/// # Errors
/// When the file is not whole, or standard output is closed.
pub fn show(path: &Path, report: &mut Report) -> anyhow::Result<()> {
    let found = GgufSummary::read(path)?;
    let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "not said".into());
    let types = found.types.iter().map(|(name, n)| format!("{name} ({})", several(*n as usize, "tensor")));
    report.section(
        "GGUF file",
        &[
            ("architecture", said(&found.architecture)),
            ("name", said(&found.name)),
            ("tensors", found.tensors.to_string()),
            ("values", count(found.values)),
            ("stored as", types.collect::<Vec<_>>().join(", ")),
            ("keys", found.keys.to_string()),
            ("size", format!("{}, GGUF version {}", bytes(found.bytes), found.version)),
            ("used by", "llama.cpp and what is built on it; glmtune writes such files and does not load them".into()),
        ],
    )
}
