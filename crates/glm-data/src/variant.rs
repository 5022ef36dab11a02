//! The members of the ChatGLM family. Start here to add one: the compiler then lists every place that must know it.

use serde::{Deserialize, Serialize};

/// A member of the ChatGLM family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// ChatGLM-6B, the first generation.
    ChatGlm,
    /// ChatGLM2-6B and folders of the same layout.
    ChatGlm2,
    /// ChatGLM3-6B: ChatGLM2's network with role tokens.
    ChatGlm3,
}

impl Variant {
    /// All members, oldest first.
    pub const ALL: [Self; 3] = [Self::ChatGlm, Self::ChatGlm2, Self::ChatGlm3];

    /// Name as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChatGlm => "ChatGLM",
            Self::ChatGlm2 => "ChatGLM2",
            Self::ChatGlm3 => "ChatGLM3",
        }
    }

    /// Name of the vocabulary in a folder as it is published.
    pub fn tokenizer_file(self) -> &'static str {
        match self {
            Self::ChatGlm => "ice_text.model",
            Self::ChatGlm2 | Self::ChatGlm3 => "tokenizer.model",
        }
    }
}
