//! The members of the ChatGLM family. Start here to add one: the compiler then lists every place that must know it.

use serde::{Deserialize, Serialize};

/// A member of the ChatGLM family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// ChatGLM2-6B and folders of the same layout.
    ChatGlm2,
}

impl Variant {
    /// Name as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChatGlm2 => "ChatGLM2",
        }
    }
}
