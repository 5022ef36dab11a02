//! Messages of a conversation.

use serde::{Deserialize, Serialize};

/// Who speaks. In the order of ChatGLM3's role tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions for the whole conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool that the model called.
    Observation,
}

impl Role {
    /// All roles, in order.
    pub const ALL: [Self; 4] = [Self::System, Self::User, Self::Assistant, Self::Observation];

    /// Name as data files and APIs write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Observation => "observation",
        }
    }
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What stands in ChatGLM3's header beside the role: the name of the tool that the model calls, mostly nothing.
    pub metadata: String,
    /// The text.
    pub content: String,
}

impl Message {
    /// A message without metadata.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, metadata: String::new(), content: content.into() }
    }
}
