//! What a trained adapter says of itself, in the header of its safetensors file.

use crate::config::RunConfig;
use glm_data::format::Layout;
use glm_data::prompt::Role;
use glm_data::{DataConfig, Rows};
use glm_model::Network;
use glm_train::Adapter;
use std::collections::BTreeMap;

/// Method, sizes, template, lengths, and what it was trained on.
pub fn of(
    settings: &RunConfig,
    network: &Network,
    adapter: &Adapter,
    rows: &Rows,
    data_sha256: String,
) -> BTreeMap<String, String> {
    let variant = network.config().variant.name();
    let turns = if has_turns(rows, &settings.data) { "history" } else { "single" };
    let quantization = match (settings.base.quantization, network.config().quantization_bit) {
        (Some(quantization), _) => serde_json::to_string(&quantization).unwrap_or_default(),
        (None, Some(bits)) => format!("stored INT{bits}"),
        (None, None) => "none".into(),
    };
    let common = [
        ("glmtune_version", settings.version.clone()),
        ("variant", variant.into()),
        ("template", variant.to_lowercase()),
        ("turns", turns.into()),
        ("source_prefix", settings.data.source_prefix.clone()),
        ("max_source_length", settings.data.max_source_length.to_string()),
        ("max_target_length", settings.data.max_target_length.to_string()),
        ("base_fingerprint", network.fingerprint().into()),
        ("base_scheme", network.held_as()),
        ("base_quantization", quantization),
        ("data_sha256", data_sha256),
        ("seed", settings.train.seed.to_string()),
    ];
    let own: Vec<(&str, String)> = match adapter {
        Adapter::Prefix { encoder, .. } => {
            let sizes = encoder.config();
            vec![
                ("format", "glmtune.prefix.1".into()),
                ("method", "p_tuning_v2".into()),
                ("pre_seq_len", sizes.pre_seq_len.to_string()),
                ("prefix_projection", sizes.prefix_projection.to_string()),
                ("num_layers", sizes.num_layers.to_string()),
                ("key_value_width", sizes.key_value_width.to_string()),
                ("hidden_size", sizes.hidden_size.to_string()),
            ]
        }
        Adapter::Lora(lora) => {
            let config = lora.config();
            let targets: Vec<&str> = config.targets.iter().map(|site| site.name()).collect();
            vec![
                ("format", "glmtune.lora.1".into()),
                ("method", "lora".into()),
                ("rank", config.rank.to_string()),
                ("alpha", config.alpha.to_string()),
                ("scale", config.scale().to_string()),
                ("targets", targets.join(",")),
                ("num_layers", lora.num_layers().to_string()),
            ]
        }
        Adapter::Full => vec![("format", "pt".into()), ("method", "full".into())],
    };
    own.into_iter().chain(common).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Whether an adapter that learns these rows sees questions after earlier turns: where a history column is named, and where any
/// row of another form, such as messages, has some.
fn has_turns(rows: &Rows, config: &DataConfig) -> bool {
    let Ok(layout) = Layout::of(rows, config) else { return false };
    let questions = |row| {
        let conversation = layout.conversation(rows, row).ok()?;
        Some(conversation.messages.iter().filter(|said| said.role == Role::User).count())
    };
    config.history_column.is_some() || rows.rows.iter().filter_map(questions).any(|questions| questions > 1)
}
