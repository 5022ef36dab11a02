//! A P-Tuning prefix in the official form. It has no place in the weights of a base, so it cannot be merged; what can be
//! done exactly is to keep the keys and values in place of the network that makes them.

use super::report::ExportReport;
use super::{config_json, target};
use crate::adapter::{PrefixConfig, PrefixEncoder, PrefixFile, SAFETENSORS_FILE, write_prefix};
use crate::companions;
use crate::config::GlmConfig;
use crate::ops::with_floats;
use crate::{ModelError, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// The same prefix without projection: its embedding is `[pre_seq_len, width]`, the keys and values themselves.
///
/// # Errors
/// When memory runs out or a value is not finite.
pub fn collapse(prefix: &PrefixEncoder) -> Result<PrefixEncoder> {
    let config = PrefixConfig { prefix_projection: false, ..*prefix.config() };
    let values = values(prefix)?;
    if let Some(at) = values.iter().position(|v| !v.is_finite()) {
        let reason =
            format!("the prefix gives {} at element {at} of its keys and values; it is not exported", values[at]);
        return Err(ModelError::Setting(reason));
    }
    PrefixEncoder::from_values(config, |_, _| values.clone())
}

/// Keys and values, `[pre_seq_len * width]`.
pub(super) fn values(prefix: &PrefixEncoder) -> Result<Vec<f32>> {
    Ok(with_floats(&prefix.key_values()?, <[f32]>::to_vec)?)
}

/// Writes the folder `target`, which must be absent or empty, as the official script saves a prefix without projection:
/// `pytorch_model.bin` (and its safetensors twin with `metadata` in the header), `config.json` with `pre_seq_len`, the
/// tokenizer and model code of the base's folder `companions`. It is reopened and compared bit for bit.
///
/// # Errors
/// When a value is not finite, `target` is not free or the system refuses; `target` is then as it was.
pub fn export_prefix(
    base: &GlmConfig,
    prefix: &PrefixEncoder,
    metadata: &BTreeMap<String, String>,
    companions: &Path,
    target: &Path,
) -> Result<ExportReport> {
    let place = target::folder(target)?;
    let collapsed = collapse(prefix)?;
    let mut raw = base.raw.clone();
    raw.insert("pre_seq_len".into(), json!(collapsed.config().pre_seq_len));
    raw.insert("prefix_projection".into(), json!(false));
    config_json::write(place.path(), raw)?;
    let (copied, remarks) = companions::copy_all(companions, place.path())?;
    write_prefix(place.path(), &collapsed, &collapsed_metadata(metadata))?;
    // The twin is preferred when both are there; each must hold the same.
    for file in [crate::adapter::TORCH_FILE, SAFETENSORS_FILE] {
        check(&place.path().join(file), base, prefix)?;
    }
    place.commit()?;
    let bytes = 4 * (collapsed.config().pre_seq_len * collapsed.config().width()) as u64;
    Ok(ExportReport { path: target.to_path_buf(), tensors: 1, bytes, copied, remarks })
}

/// What the adapter said of itself, true for the collapsed one.
pub(super) fn collapsed_metadata(metadata: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut metadata = metadata.clone();
    metadata.insert("prefix_projection".into(), "false".into());
    metadata
}

/// Reopens a written prefix and compares it bit for bit.
pub(super) fn check(file: &Path, base: &GlmConfig, prefix: &PrefixEncoder) -> Result<()> {
    let found = values(&PrefixFile::open(file)?.load(base, None, None)?)?;
    let expected = values(prefix)?;
    let same = found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
    if same { Ok(()) } else { Err(ModelError::file(file, "the prefix differs after reopening")) }
}
