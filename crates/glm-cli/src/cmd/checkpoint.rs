//! What a prefix checkpoint holds besides the loop's own files: the prefix twice, the base's configuration as the
//! official script saves it, and the tokenizer, so that the folder is self-describing.

use super::base::Loaded;
use crate::config::RunConfig;
use anyhow::Context;
use glm_model::Network;
use glm_model::adapter::{PrefixEncoder, PrefixFile, write_prefix};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files of the base folder that belong to its tokenizer.
const TOKENIZER_FILES: [&str; 4] =
    ["tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "tokenization_chatglm.py"];

/// Writes checkpoints of one run.
pub struct CheckpointWriter<'a> {
    base: &'a Path,
    encoder: &'a PrefixEncoder,
    config_json: String,
    metadata: BTreeMap<String, String>,
}

impl<'a> CheckpointWriter<'a> {
    /// Prepares what is the same in every checkpoint.
    pub fn new(settings: &RunConfig, base: &'a Loaded, encoder: &'a PrefixEncoder, data_sha256: String) -> Self {
        let network = &base.network;
        let sizes = encoder.config();
        let mut config = network.config().raw.clone();
        config.insert("pre_seq_len".into(), json!(sizes.pre_seq_len));
        config.insert("prefix_projection".into(), json!(sizes.prefix_projection));
        // As the official script: a checkpoint that was trained over a quantized base says so.
        if let Some(bits) = settings.base.quantization.and_then(|q| q.official_bits()) {
            config.insert("quantization_bit".into(), json!(bits));
        }
        let turns = if settings.data.history_column.is_some() { "history" } else { "single" };
        let quantization = match (settings.base.quantization, network.config().quantization_bit) {
            (Some(quantization), _) => serde_json::to_string(&quantization).unwrap_or_default(),
            (None, Some(bits)) => format!("stored INT{bits}"),
            (None, None) => "none".into(),
        };
        let metadata = [
            ("format", "glmtune.prefix.1".into()),
            ("glmtune_version", settings.version.clone()),
            ("method", "p_tuning_v2".into()),
            ("variant", network.config().variant.name().into()),
            ("pre_seq_len", sizes.pre_seq_len.to_string()),
            ("prefix_projection", sizes.prefix_projection.to_string()),
            ("num_layers", sizes.num_layers.to_string()),
            ("key_value_width", sizes.key_value_width.to_string()),
            ("hidden_size", sizes.hidden_size.to_string()),
            ("template", network.config().variant.name().to_lowercase()),
            ("turns", turns.into()),
            ("source_prefix", settings.data.source_prefix.clone()),
            ("max_source_length", settings.data.max_source_length.to_string()),
            ("max_target_length", settings.data.max_target_length.to_string()),
            ("base_fingerprint", network.fingerprint().into()),
            ("base_scheme", network.scheme().to_string()),
            ("base_quantization", quantization),
            ("data_sha256", data_sha256),
            ("seed", settings.train.seed.to_string()),
        ];
        Self {
            base: &base.folder,
            encoder,
            config_json: format!("{:#}\n", Value::Object(config)),
            metadata: metadata.into_iter().map(|(key, value): (&str, String)| (key.to_owned(), value)).collect(),
        }
    }

    /// Writes the adapter's part of a checkpoint into `folder`.
    ///
    /// # Errors
    /// When the disk refuses or a value is not finite.
    pub fn write(&self, folder: &Path) -> glm_train::Result<()> {
        write_prefix(folder, self.encoder, &self.metadata)?;
        let io = |path: PathBuf| move |source| glm_train::TrainError::Io { path, source };
        let path = folder.join("config.json");
        std::fs::write(&path, &self.config_json).map_err(io(path))?;
        for name in TOKENIZER_FILES {
            let from = self.base.join(name);
            if from.is_file() {
                let to = folder.join(name);
                std::fs::copy(&from, &to).map_err(io(to))?;
            }
        }
        Ok(())
    }
}

/// Reopens a checkpoint, compares it with what training began with, and says how far it moved: an adapter that did not
/// change would have no effect, and nobody would notice.
///
/// # Errors
/// When the checkpoint cannot be read back, or `must_move` and it equals what it began with.
pub fn verify(
    checkpoint: &Path,
    network: &Network,
    began_with: &PrefixEncoder,
    must_move: bool,
) -> anyhow::Result<String> {
    let saved = PrefixFile::open(checkpoint)
        .and_then(|file| file.load(network.config(), None, None))
        .context("the checkpoint that was just written cannot be read back")?;
    let values = |prefix: &PrefixEncoder| -> anyhow::Result<Vec<f32>> {
        Ok(prefix.key_values()?.flatten_all()?.to_vec1::<f32>()?)
    };
    let (before, after) = (values(began_with)?, values(&saved)?);
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let change = norm(&mut before.iter().zip(&after).map(|(a, b)| b - a));
    let size = norm(&mut before.iter().copied());
    anyhow::ensure!(
        change > 0.0 || !must_move,
        "{} equals what training began with: nothing was learned",
        checkpoint.display()
    );
    Ok(format!("the prefix moved by ‖Δ‖ = {change:.3} ({:.1} % of its norm)", 100.0 * change / size.max(1e-12)))
}
