//! What a quantized form was made of, as texts in the header of its file.

use crate::quant::Scheme;
use crate::weights::{WeightFolder, fingerprint};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Number of the format. A change of the layout or of a quantizer's results needs a new one; a test beside it knows the
/// results of this one.
pub(super) const FORMAT: &str = "3";
/// Says that a file is one of these.
pub(super) const KIND: &str = "glmtune quantized base";
/// Key of the checksums.
pub(super) const SUMS: &str = "crc32";

/// The texts that must be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    scheme: String,
    files: String,
    sample: String,
}

impl Identity {
    /// That of a base now: names, sizes and times of change of its files, and a sample of every tensor.
    pub(super) fn of(weights: &WeightFolder, scheme: Scheme) -> Self {
        let files = weights.files().map(|(path, bytes)| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("{name} {bytes} bytes, changed at {}", changed(path))
        });
        Self { scheme: scheme.to_string(), files: files.collect::<Vec<_>>().join("\n"), sample: fingerprint(weights) }
    }

    /// As it stands in the header, with checksums.
    pub(super) fn header(&self, sums: String) -> BTreeMap<String, String> {
        let texts = [
            ("kind", KIND),
            ("format", FORMAT),
            ("scheme", &self.scheme),
            ("files", &self.files),
            ("sample", &self.sample),
            (SUMS, &sums),
        ];
        texts.map(|(key, text)| (key.to_owned(), text.to_owned())).into()
    }

    /// Why a header is not that of this base in this form.
    pub(super) fn difference(&self, header: &BTreeMap<String, String>) -> Option<&'static str> {
        let differs = |key: &str, text: &str| header.get(key).is_none_or(|found| found != text);
        [
            ("kind", KIND, "it is another kind of file"),
            ("format", FORMAT, "another version of this program wrote it"),
            ("scheme", &self.scheme, "it holds another quantization"),
            ("files", &self.files, "the files of the base have changed since it was written"),
            ("sample", &self.sample, "the weights of the base have changed since it was written"),
        ]
        .into_iter()
        .find_map(|(key, text, reason)| differs(key, text).then_some(reason))
    }
}

/// When a file was last changed, in seconds; links are followed.
fn changed(path: &Path) -> String {
    let time = std::fs::metadata(path).and_then(|found| found.modified()).ok();
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or("an unknown time".into(), |since| format!("{}.{:09}", since.as_secs(), since.subsec_nanos()))
}

/// FNV-1a.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}
