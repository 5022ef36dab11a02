//! How rows become training samples.

use serde::{Deserialize, Serialize};

/// Columns, lengths and overflow policy of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Column that holds the prompt.
    pub prompt_column: String,
    /// Column that holds the answer.
    pub response_column: String,
    /// Column that holds the history: `[[question, answer], …]`.
    pub history_column: Option<String>,
    /// Most tokens of a prompt, special tokens included.
    pub max_source_length: usize,
    /// Most tokens of an answer, without the end token.
    pub max_target_length: usize,
    /// Text put before every prompt.
    pub source_prefix: String,
    /// Exactly the official preprocessing: cuts keep the beginning, and a cut answer still ends with the end token.
    /// Off: an over-long prompt loses its oldest turns, then the middle of the question, and a cut answer teaches no end.
    pub compat: bool,
    /// Skip broken rows and count them, instead of stopping at the first.
    pub lenient: bool,
    /// Labels equal to the pad id are not trained, which leaves out the prompt and unknown tokens of the answer.
    /// Off, with `compat`: the official script then trains prompt and padding positions to predict the pad id.
    #[serde(default = "on")]
    pub ignore_pad_token_for_loss: bool,
}

fn on() -> bool {
    true
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            prompt_column: "content".into(),
            response_column: "summary".into(),
            history_column: None,
            max_source_length: 1024,
            max_target_length: 128,
            source_prefix: String::new(),
            compat: false,
            lenient: false,
            ignore_pad_token_for_loss: true,
        }
    }
}
