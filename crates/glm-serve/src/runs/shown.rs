//! What of a run's configuration is shown.

use serde_json::Value;

/// Texts, which are shown as they are even where they look like paths.
const TEXTS: [&str; 5] = ["source_prefix", "stop", "prompt_column", "response_column", "history_column"];

/// Parts of names under which other writers of such files may keep what is nobody's business.
const SECRETS: [&str; 5] = ["token", "secret", "password", "api_key", "credential"];

/// A configuration as clients may see it: of paths from the root of the file system, which tell of the machine and its
/// users, the last part; texts under names of secrets not at all.
pub fn configuration(mut value: Value) -> Value {
    cover("", &mut value);
    value
}

fn cover(key: &str, value: &mut Value) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| cover(key, value)),
        Value::Array(items) => items.iter_mut().for_each(|item| cover(key, item)),
        Value::String(text) => {
            let lower = key.to_lowercase();
            if SECRETS.iter().any(|secret| lower.contains(secret)) {
                *text = "(hidden)".into();
            } else if !TEXTS.contains(&key) && text.starts_with(['/', '~']) {
                let last = text.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                *text = format!("…/{last}");
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_of_the_machine_and_secrets_are_covered() {
        let said = json!({
            "base": {"path": "/data/ann/models/chatglm2-6b/", "hub": {"use_auth_token": false, "hf_token": "hf_x"}},
            "files": {"train": "data/train.json", "validation": null, "test": ["~/x.json"]},
            "data": {"source_prefix": "/问题/", "max_source_length": 64, "max_tokens_per_pass": 5},
            "root": "/",
        });
        let expected = json!({
            "base": {"path": "…/chatglm2-6b", "hub": {"use_auth_token": false, "hf_token": "(hidden)"}},
            "files": {"train": "data/train.json", "validation": null, "test": ["…/x.json"]},
            "data": {"source_prefix": "/问题/", "max_source_length": 64, "max_tokens_per_pass": 5},
            "root": "…/",
        });
        assert_eq!(configuration(said), expected);
    }
}
