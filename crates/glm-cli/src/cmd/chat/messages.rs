//! What the conversation says of itself, in the language of the user's terminal.

use crate::cmd::language::Language;

/// The messages of one language.
#[derive(Debug, Clone, Copy)]
pub struct Messages(pub Language);

impl Messages {
    /// Before the first question.
    pub fn welcome(self) -> &'static str {
        self.0.choose(
            "Ask away. clear forgets the conversation, stop leaves, Ctrl-C stops an answer.",
            "请输入问题。clear 清空对话历史，stop 退出，Ctrl-C 中止回答。",
        )
    }

    /// Before what the user types.
    pub fn user(self) -> &'static str {
        self.0.choose("You: ", "用户：")
    }

    /// Before an answer.
    pub fn model(self) -> &'static str {
        self.0.choose("ChatGLM: ", "ChatGLM：")
    }

    /// After `clear`.
    pub fn cleared(self) -> &'static str {
        self.0.choose("The conversation is forgotten.", "对话历史已清空。")
    }

    /// After Ctrl-C without an answer to stop.
    pub fn how_to_leave(self) -> &'static str {
        self.0.choose("Ctrl-C once more, Ctrl-D or stop leaves.", "再按一次 Ctrl-C、按 Ctrl-D 或输入 stop 退出。")
    }

    /// The answer went in circles.
    pub fn repetition(self) -> &'static str {
        self.0.choose("note: the answer repeated itself and was ended", "提示：回答陷入重复，已被终止")
    }

    /// The oldest turns had to go.
    pub fn dropped(self, turns: usize, max_length: usize) -> String {
        match self.0 {
            Language::English => {
                format!("note: oldest turns forgotten, to stay within max_length {max_length}: {turns}")
            }
            Language::Chinese => format!("提示：为不超过 max_length {max_length}，最早的 {turns} 轮对话已被忽略"),
        }
    }

    /// A question that cannot be asked.
    pub fn too_long(self, tokens: usize, max_length: usize) -> String {
        match self.0 {
            Language::English => format!(
                "note: the question has {tokens} tokens and max_length is {max_length}, which leaves no room for an \
                 answer; shorten it or raise --max_length"
            ),
            Language::Chinese => format!(
                "提示：问题有 {tokens} 个 token，而 max_length 为 {max_length}，没有留给回答的空间；请缩短问题或增大 --max_length"
            ),
        }
    }
}
