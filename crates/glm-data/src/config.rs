//! How rows become training samples.

use serde::{Deserialize, Serialize};

use crate::format::{AlpacaJoin, Format};
use crate::variant::Variant;

/// Format, lengths and overflow policy of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Column that holds the prompt. Naming it, or [`response_column`](Self::response_column), decides the format; the
    /// one that is not named is then `content` or `summary`.
    #[serde(default)]
    pub prompt_column: Option<String>,
    /// Column that holds the answer.
    #[serde(default)]
    pub response_column: Option<String>,
    /// Column that holds the history: `[[question, answer], …]`. Without it, a column `history` is used where the format
    /// was recognised as one that has it.
    #[serde(default)]
    pub history_column: Option<String>,
    /// The format; `None` tells it from the columns.
    #[serde(default)]
    pub format: Option<Format>,
    /// How `instruction` and `input` are joined.
    #[serde(default)]
    pub alpaca_join: AlpacaJoin,
    /// Which answers of a dialogue are trained; `None` is what the official scripts of the model do
    /// ([`TrainOn::of`]).
    #[serde(default)]
    pub train_on: Option<TrainOn>,
    /// Most tokens of a prompt, special tokens included (ChatGLM-6B: most tokens of its text plus one, as officially
    /// in training).
    pub max_source_length: usize,
    /// Most tokens of an answer, without the end token. (Officially, ChatGLM-6B's answers are cut two tokens earlier;
    /// `compat` does so.)
    pub max_target_length: usize,
    /// Text put before every prompt; for ChatGLM3-6B, before the first question of it.
    pub source_prefix: String,
    /// Exactly the official preprocessing: cuts keep the beginning, and a cut answer still ends with the end token.
    /// Off: [`on_overflow`](Self::on_overflow) decides, and a cut answer teaches no end.
    pub compat: bool,
    /// What becomes of rows that are too long (not with `compat`).
    #[serde(default)]
    pub on_overflow: OnOverflow,
    /// Skip broken rows and count them, instead of stopping at the first.
    pub lenient: bool,
    /// Labels equal to the pad id are not trained, which leaves out the prompt and unknown tokens of the answer.
    /// Off, with `compat`: the official script then trains padding positions (and ChatGLM2-6B's prompt) to predict the
    /// pad id.
    #[serde(default = "on")]
    pub ignore_pad_token_for_loss: bool,
}

/// Which answers of a dialogue are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainOn {
    /// The last answer that the file does not exclude.
    LastAnswer,
    /// Every answer that the file does not exclude. ChatGLM3-6B learns them in one sample; for the others each answer is
    /// a sample of its own, with the prompt that asks for it.
    EveryAnswer,
}

impl TrainOn {
    /// What the official scripts of a model do.
    pub fn of(variant: Variant) -> Self {
        match variant {
            Variant::ChatGlm | Variant::ChatGlm2 => Self::LastAnswer,
            Variant::ChatGlm3 => Self::EveryAnswer,
        }
    }
}

/// What becomes of a sample whose prompt or answer is longer than its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnOverflow {
    /// The prompt loses its oldest turns, then the middle of its question; the answer is cut and teaches no end.
    #[default]
    TrimHistory,
    /// It is left out and counted.
    Drop,
    /// It is an error that names its line and lengths.
    Error,
}

fn on() -> bool {
    true
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            prompt_column: None,
            response_column: None,
            history_column: None,
            format: None,
            alpaca_join: AlpacaJoin::default(),
            train_on: None,
            max_source_length: 1024,
            max_target_length: 128,
            source_prefix: String::new(),
            compat: false,
            on_overflow: OnOverflow::default(),
            lenient: false,
            ignore_pad_token_for_loss: true,
        }
    }
}
