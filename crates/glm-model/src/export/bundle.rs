//! A prefix and all that is needed to use it besides the base, in one safetensors file.
//!
//! Tensors: `transformer.prefix_encoder.embedding.weight`, f32 `[pre_seq_len, layers * 2 * kv_groups * head_dim]`, the keys
//! and values themselves; `tokenizer.model`, u8 `[bytes]`, the vocabulary file as it is. Metadata: what the adapter says of
//! itself (method, template, turns, lengths, base fingerprint), `format` [`BUNDLE_FORMAT`], `variant`, `base_name`, and
//! `base_config`, the base's `config.json`. Whatever reads a prefix file reads a bundle too.

use super::prefix::{check, collapse, collapsed_metadata, values};
use super::report::ExportReport;
use super::target;
use crate::adapter::{PrefixEncoder, PrefixFile};
use crate::companions;
use crate::config::GlmConfig;
use crate::weights::{ElementType, NewTensor, WeightFolder, safetensors_metadata, stream_safetensors};
use crate::{ModelError, Result};
use glm_data::{Tokenizer, Variant};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Value of the metadata key `format`.
pub const BUNDLE_FORMAT: &str = "glmtune.bundle.1";
const PREFIX: &str = "transformer.prefix_encoder.embedding.weight";
const TOKENIZER: &str = "tokenizer.model";

/// Writes the file `target`, which must be absent, reopens it and compares it bit for bit. `metadata` is the adapter's own
/// and must name the base with `base_fingerprint`; `companions` is the base's folder with its vocabulary.
///
/// # Errors
/// When something needed is missing, a value is not finite, `target` is not free or the system refuses.
pub fn export_bundle(
    base: &GlmConfig,
    prefix: &PrefixEncoder,
    metadata: &BTreeMap<String, String>,
    companions: &Path,
    target: &Path,
) -> Result<ExportReport> {
    if !metadata.contains_key("base_fingerprint") {
        let reason = "the adapter does not say which base it was trained on (base_fingerprint)";
        return Err(ModelError::Setting(reason.into()));
    }
    let tokenizer = companions::vocabulary(companions, base.variant.tokenizer_file(), "a bundle carries")?;
    let place = target::file(target)?;
    let vocabulary = std::fs::read(&tokenizer).map_err(ModelError::io(&tokenizer))?;
    let collapsed = collapse(prefix)?;
    let mut metadata = collapsed_metadata(metadata);
    metadata.insert("format".into(), BUNDLE_FORMAT.into());
    metadata.insert("base_config".into(), serde_json::Value::Object(base.raw.clone()).to_string());
    metadata.insert("variant".into(), base.variant.name().into());
    if let Some(name) = base.raw.get("_name_or_path").and_then(|name| name.as_str()) {
        metadata.insert("base_name".into(), name.into());
    }
    let sizes = collapsed.config();
    let values: Vec<u8> = values(&collapsed)?.iter().flat_map(|v| v.to_le_bytes()).collect();
    let tensors = [
        NewTensor { name: PREFIX.into(), dtype: ElementType::F32, shape: vec![sizes.pre_seq_len, sizes.width()] },
        NewTensor { name: TOKENIZER.into(), dtype: ElementType::U8, shape: vec![vocabulary.len()] },
    ];
    let contents = [values, vocabulary];
    place.write(|out| stream_safetensors(out, &tensors, &metadata, &mut |i, out| out.write_all(&contents[i])))?;
    let bundle = Bundle::open(place.path())?;
    check(place.path(), &bundle.base, prefix)?;
    if bundle.vocabulary != contents[1] || bundle.metadata != metadata {
        return Err(ModelError::file(target, "the vocabulary or the metadata differ after reopening"));
    }
    place.commit()?;
    let bytes = contents.iter().map(|c| c.len() as u64).sum();
    Ok(ExportReport {
        path: target.to_path_buf(),
        tensors: 2,
        bytes,
        copied: vec![TOKENIZER.into()],
        remarks: Vec::new(),
    })
}

/// An opened bundle.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    metadata: BTreeMap<String, String>,
    base: GlmConfig,
    prefix: PrefixFile,
    vocabulary: Vec<u8>,
}

impl Bundle {
    /// Opens a bundle and checks that its parts fit each other.
    ///
    /// # Errors
    /// Names the file and the part that is missing or broken.
    pub fn open(path: &Path) -> Result<Self> {
        let wrong = |reason: String| ModelError::file(path, reason);
        let metadata = safetensors_metadata(path)?;
        match metadata.get("format").map(String::as_str) {
            Some(BUNDLE_FORMAT) => {}
            Some(other) => return Err(wrong(format!("its format is {other}, expected {BUNDLE_FORMAT}"))),
            None => {
                return Err(wrong(format!("it is no bundle (no format in its metadata, expected {BUNDLE_FORMAT})")));
            }
        }
        let text = metadata.get("base_config").ok_or_else(|| wrong("base_config is missing in its metadata".into()))?;
        let raw = serde_json::from_str(text).map_err(|e| wrong(format!("base_config is not a json object: {e}")))?;
        let mut base = GlmConfig::from_raw(raw).map_err(|reason| wrong(format!("base_config: {reason}")))?;
        // Their configurations do not tell ChatGLM3 from ChatGLM2; the base's tokenizer files did.
        let third = metadata.get("variant").is_some_and(|name| name == Variant::ChatGlm3.name());
        if third && base.variant == Variant::ChatGlm2 {
            base.variant = Variant::ChatGlm3;
        }
        let weights = WeightFolder::open(path)?;
        let vocabulary = weights.get(TOKENIZER).filter(|tensor| tensor.dtype == ElementType::U8);
        let vocabulary =
            vocabulary.ok_or_else(|| wrong("the vocabulary (u8 tensor tokenizer.model) is missing".into()))?;
        let prefix = PrefixFile::open(path)?;
        prefix.load(&base, None, Some(false))?;
        Ok(Self { path: path.to_path_buf(), vocabulary: vocabulary.data.to_vec(), metadata, base, prefix })
    }

    /// What it says of itself.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Configuration of the base that it was trained on.
    pub fn base(&self) -> &GlmConfig {
        &self.base
    }

    /// The vocabulary.
    ///
    /// # Errors
    /// When it is broken or belongs to another kind of model.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let broken = |e: glm_data::DataError| ModelError::file(&self.path, e.to_string());
        Tokenizer::from_bytes(&self.vocabulary, self.base.variant).map_err(broken)
    }

    /// The prefix, ready for a base.
    ///
    /// # Errors
    /// When it does not fit `base`: both shapes and the likely cause.
    pub fn prefix(&self, base: &GlmConfig) -> Result<PrefixEncoder> {
        self.prefix.load(base, None, None)
    }

    /// Checks that a loaded base is the one that the prefix was trained on. `fingerprint` is [`crate::Network::fingerprint`].
    ///
    /// # Errors
    /// A sentence for a remark or a refusal, as the caller decides: an equal base stored in another form (quantized, other
    /// types) has another fingerprint.
    pub fn same_base(&self, fingerprint: &str) -> Result<(), String> {
        let trained = self.metadata.get("base_fingerprint").map_or("unknown", String::as_str);
        if trained == fingerprint {
            return Ok(());
        }
        Err(format!("the prefix was trained on the base {trained}, but this base is {fingerprint}"))
    }
}
