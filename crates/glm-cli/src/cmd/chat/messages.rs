//! What the conversation says of itself, in the language of the user's terminal.

use super::command::{self, Spec};
use crate::cmd::language::Language;
use glm_serve::{AdapterInfo, Turns};
use std::fmt::Write;

/// The messages of one language.
#[derive(Debug, Clone, Copy)]
pub struct Messages(pub Language);

impl Messages {
    /// Before the first question.
    pub fn welcome(self) -> &'static str {
        self.0.choose(
            "Ask away. /help lists the commands, clear forgets the conversation, stop leaves, Ctrl-C stops an answer.",
            "请输入问题。/help 列出命令，clear 清空对话历史，stop 退出，Ctrl-C 中止回答。",
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

    /// Before an answer, where there are several who answer.
    pub fn speaker(self, name: &str) -> String {
        format!("{name}{}", self.0.choose(": ", "："))
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

    /// All commands.
    pub fn help(self) -> String {
        let mut text = String::new();
        for spec in &command::ALL {
            let typed = format!("/{} {}", spec.name, spec.arguments);
            let _ = writeln!(text, "  {typed:<19} {}", self.0.choose(spec.english, spec.chinese));
        }
        text + self.0.choose(
            "A line that ends with a backslash goes on in the next one; a line \"\"\" begins and\n\
             ends a question of several lines. Tab completes commands and names.",
            "行末的反斜杠表示下一行继续；多行问题以单独一行 \"\"\" 开始和结束。Tab 键补全命令和名称。",
        )
    }

    /// How a command is typed.
    pub fn usage(self, spec: &Spec) -> String {
        let (name, arguments) = (spec.name, spec.arguments);
        let typed = format!("/{name} {arguments}");
        format!(
            "{}{} - {}",
            self.0.choose("usage: ", "用法："),
            typed.trim(),
            self.0.choose(spec.english, spec.chinese)
        )
    }

    /// There is no such command.
    pub fn unknown_command(self, name: &str, near: Option<&str>) -> String {
        let near = self.mean(near.map(|near| format!("/{near}")).as_deref());
        match self.0 {
            Language::English => {
                format!("there is no command /{name} (/help lists them, //{name} asks the model){near}")
            }
            Language::Chinese => format!("没有命令 /{name}（/help 列出命令，//{name} 则作为问题发送）{near}"),
        }
    }

    fn mean(self, near: Option<&str>) -> String {
        match (near, self.0) {
            (None, _) => String::new(),
            (Some(near), Language::English) => format!("; did you mean {near}?"),
            (Some(near), Language::Chinese) => format!("，是否想输入 {near}？"),
        }
    }

    /// There is no such adapter.
    pub fn unknown_adapter(self, name: &str, near: Option<&str>) -> String {
        let near = self.mean(near);
        match self.0 {
            Language::English => format!("there is no adapter {name:?} (/adapters lists them){near}"),
            Language::Chinese => format!("没有适配器 {name:?}（/adapters 列出可用的适配器）{near}"),
        }
    }

    /// There are no adapters at all.
    pub fn no_adapters(self) -> &'static str {
        self.0.choose(
            "there is only the bare base; --adapter NAME=PATH, given when glmtune is started, adds an adapter",
            "目前只有原始模型；启动时用 --adapter NAME=PATH 添加适配器",
        )
    }

    /// What one who answers is.
    pub fn about(self, adapter: Option<&AdapterInfo>) -> String {
        let Some(adapter) = adapter else { return self.0.choose("the bare base", "原始模型").into() };
        let mut text = adapter.kind.to_owned();
        text += match adapter.turns {
            Some(Turns::Single) => self.0.choose(", gets no earlier turns", "，不接收对话历史"),
            Some(Turns::History) | None => "",
        };
        if !adapter.source_prefix.is_empty() {
            let _ = write!(text, ", source_prefix {:?}", adapter.source_prefix);
        }
        text
    }

    /// Who answers now.
    pub fn answers(self, name: &str) -> String {
        match self.0 {
            Language::English => format!("{name} answers; /adapters lists all, /use changes that."),
            Language::Chinese => format!("当前由 {name} 回答；/adapters 列出全部，/use 切换。"),
        }
    }

    /// Who answers now, where there are several.
    pub fn compared(self, names: &[&str], kept: &str) -> String {
        match self.0 {
            Language::English => {
                format!("{} answer; those of {kept} are kept. /compare ends it.", names.join(", "))
            }
            Language::Chinese => {
                format!("由 {} 同时回答；对话历史保留 {kept} 的回答。再次输入 /compare 关闭。", names.join("、"))
            }
        }
    }

    /// One who answers gets no history.
    pub fn single(self, name: &str) -> String {
        match self.0 {
            Language::English => {
                format!("note: {name} was trained on single questions; it does not get the earlier turns")
            }
            Language::Chinese => format!("提示：{name} 以单轮问题训练，不会收到之前的对话"),
        }
    }

    /// A command that needs a turn.
    pub fn nothing_yet(self) -> &'static str {
        self.0.choose("there is no turn yet", "还没有对话")
    }

    /// The same answer will come.
    pub fn nothing_is_drawn(self) -> &'static str {
        self.0.choose(
            "note: do_sample is false, so that the same question has the same answer; /set do_sample true",
            "提示：do_sample 为 false，同一问题的回答不变；可用 /set do_sample true",
        )
    }

    /// After `/undo`.
    pub fn undone(self, question: &str) -> String {
        format!("{}{question}", self.0.choose("Forgotten: ", "已撤销："))
    }

    /// Behind a question of which the model is not told any more.
    pub fn given_way(self) -> &'static str {
        self.0.choose(" (too long ago: not sent any more)", "（过早，不再发送给模型）")
    }

    /// Before the lines of a question.
    pub fn paste(self) -> &'static str {
        self.0.choose("A line \"\"\" ends the question, Ctrl-C drops it.", "以单独一行 \"\"\" 结束问题，Ctrl-C 放弃。")
    }

    /// There is no such setting.
    pub fn unknown_setting(self, name: &str, near: Option<&str>) -> String {
        let (near, all) = (self.mean(near), super::settings::NAMES.join(", "));
        match self.0 {
            Language::English => format!("there is no setting {name:?} (these can be set: {all}){near}"),
            Language::Chinese => format!("没有参数 {name:?}（可设置：{all}）{near}"),
        }
    }

    /// A setting that cannot have this value.
    pub fn bad_value(self, name: &str, expected: &str, found: &str) -> String {
        match self.0 {
            Language::English => format!("{name}: expected {expected}; found {found:?}"),
            Language::Chinese => format!("{name}：应为 {expected}，输入的是 {found:?}"),
        }
    }

    /// After `/save`.
    pub fn saved(self, turns: usize, file: &str) -> String {
        match self.0 {
            Language::English => format!("Saved in {file}, turns: {turns}"),
            Language::Chinese => format!("已将 {turns} 轮对话保存到 {file}"),
        }
    }

    /// The file is there.
    pub fn exists(self, file: &str) -> String {
        match self.0 {
            Language::English => format!("not saved: {file} is there already; name another file"),
            Language::Chinese => format!("未保存：{file} 已存在，请换一个文件名"),
        }
    }

    /// The file cannot be written.
    pub fn not_saved(self, file: &str, error: &std::io::Error) -> String {
        format!("{}{file}: {error}", self.0.choose("not saved: ", "未保存："))
    }
}
