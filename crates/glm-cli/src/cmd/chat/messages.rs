//! What the conversation says of itself, in the language of the user's terminal.

use crate::cmd::language::Language;

impl Language {
    /// Before the first question.
    pub fn welcome(self) -> &'static str {
        match self {
            Self::English => "Ask away. clear forgets the conversation, stop leaves, Ctrl-C stops an answer.",
            Self::Chinese => "请输入问题。clear 清空对话历史，stop 退出，Ctrl-C 中止回答。",
        }
    }

    /// Before what the user types.
    pub fn user(self) -> &'static str {
        match self {
            Self::English => "You: ",
            Self::Chinese => "用户：",
        }
    }

    /// Before an answer.
    pub fn model(self) -> &'static str {
        match self {
            Self::English => "ChatGLM: ",
            Self::Chinese => "ChatGLM：",
        }
    }

    /// After `clear`.
    pub fn cleared(self) -> &'static str {
        match self {
            Self::English => "The conversation is forgotten.",
            Self::Chinese => "对话历史已清空。",
        }
    }

    /// After Ctrl-C without an answer to stop.
    pub fn how_to_leave(self) -> &'static str {
        match self {
            Self::English => "Ctrl-C once more, Ctrl-D or stop leaves.",
            Self::Chinese => "再按一次 Ctrl-C、按 Ctrl-D 或输入 stop 退出。",
        }
    }

    /// The oldest turns had to go.
    pub fn dropped(self, turns: usize, max_length: usize) -> String {
        match self {
            Self::English => {
                format!("note: oldest turns forgotten, to stay within max_length {max_length}: {turns}")
            }
            Self::Chinese => format!("提示：为不超过 max_length {max_length}，最早的 {turns} 轮对话已被忽略"),
        }
    }

    /// A question that cannot be asked.
    pub fn too_long(self, tokens: usize, max_length: usize) -> String {
        match self {
            Self::English => format!(
                "note: the question has {tokens} tokens and max_length is {max_length}, which leaves no room for an \
                 answer; shorten it or raise --max_length"
            ),
            Self::Chinese => format!(
                "提示：问题有 {tokens} 个 token，而 max_length 为 {max_length}，没有留给回答的空间；请缩短问题或增大 --max_length"
            ),
        }
    }
}
