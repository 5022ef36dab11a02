//! What a typed line means: a question, a command, or a mistake in one.

/// Something that can be done instead of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// List the commands.
    Help,
    /// List who can answer.
    Adapters,
    /// Let this one answer.
    Use(String),
    /// Let several answer every question, or one again.
    Compare(Vec<String>),
    /// Answer the last question anew.
    Again,
    /// Forget the last turn.
    Undo,
    /// Forget all turns.
    Clear,
    /// Show the turns.
    History,
    /// Show the settings.
    Settings,
    /// Change one.
    Set(String, String),
    /// Write the conversation into a file.
    Save(String),
    /// Take the following lines as one question.
    Paste,
    /// Leave.
    Exit,
}

/// What a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Nothing but blanks.
    Empty,
    /// For the model.
    Question(String),
    /// For the program.
    Command(Command),
    /// No command of this name; the nearest one.
    Unknown(String, Option<&'static str>),
    /// The command wants other arguments.
    Wants(&'static Spec),
}

/// A command as help and completion know it.
#[derive(Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its name without the slash.
    pub name: &'static str,
    /// What stands behind it.
    pub arguments: &'static str,
    /// What it does.
    pub english: &'static str,
    /// The same in Chinese.
    pub chinese: &'static str,
}

/// All commands, in the order of the help.
pub const ALL: [Spec; 13] = [
    spec("help", "", "this list", "显示本列表"),
    spec("adapters", "", "who can answer, and who does", "列出可用的适配器及当前使用的适配器"),
    spec(
        "use",
        "NAME",
        "let another adapter answer, or the bare base: /use base",
        "切换适配器；/use base 使用原始模型",
    ),
    spec(
        "compare",
        "[NAME ...]",
        "base and these adapters (none: all) answer every question; again: off",
        "原始模型与所列适配器（省略则为全部）都回答每个问题；再次输入则关闭",
    ),
    spec("again", "", "answer the last question anew", "重新生成上一个回答"),
    spec("undo", "", "forget the last question and its answer", "撤销上一轮对话"),
    spec("clear", "", "forget the conversation (also: clear)", "清空对话历史（也可输入 clear）"),
    spec("history", "", "show the conversation", "显示对话历史"),
    spec(
        "set",
        "[NAME VALUE]",
        "change how answers are made, as /set top_p 0.5; alone: show",
        "修改生成参数，如 /set top_p 0.5；不带参数则显示当前值",
    ),
    spec(
        "save",
        "FILE",
        "write the conversation as JSON with messages, into a new file",
        "将对话保存到新文件（一行含 messages 的 JSON）",
    ),
    spec("paste", "", "a question of several lines, up to a line \"\"\"", "输入多行问题，以单独一行 \"\"\" 结束"),
    spec("exit", "", "leave (also: stop, exit, quit)", "退出（也可输入 stop、exit、quit）"),
    spec(
        "/text",
        "",
        "ask /text: what begins with two slashes is a question",
        "以两个斜杠开头的内容作为问题发送（去掉第一个斜杠）",
    ),
];

const fn spec(name: &'static str, arguments: &'static str, english: &'static str, chinese: &'static str) -> Spec {
    Spec { name, arguments, english, chinese }
}

/// The names that can be typed behind a slash.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|spec| spec.name).filter(|name| !name.starts_with('/'))
}

/// The name that is most like a wrong one, if any is.
pub fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    let scored = names.map(|name| (strsim::jaro_winkler(&wrong, &name.to_lowercase()), name));
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.75).map(|(_, name)| name)
}

/// What a line means. Several lines are one text here.
pub fn parse(text: &str) -> Entry {
    let trimmed = text.trim();
    match trimmed {
        "" => return Entry::Empty,
        "stop" | "exit" | "quit" => return Entry::Command(Command::Exit),
        "clear" => return Entry::Command(Command::Clear),
        _ => {}
    }
    if let Some(rest) = trimmed.strip_prefix('/') {
        // What was typed before and behind the slashes stays as it is.
        return if rest.starts_with('/') { Entry::Question(text.replacen('/', "", 1)) } else { command(rest) };
    }
    // Input methods for Chinese give a wide slash. A question may begin with one, so that only names count.
    match trimmed.strip_prefix('／').map(command) {
        Some(known @ (Entry::Command(_) | Entry::Wants(_))) => known,
        _ => Entry::Question(text.to_owned()),
    }
}

fn command(text: &str) -> Entry {
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let words: Vec<&str> = rest.split_whitespace().collect();
    let name = name.to_ascii_lowercase();
    let name = match name.as_str() {
        "?" => "help",
        "quit" | "stop" => "exit",
        "adapter" | "models" => "adapters",
        name => name,
    };
    let command = match (name, words.as_slice()) {
        ("help", []) => Command::Help,
        ("adapters", []) => Command::Adapters,
        ("use", [name]) => Command::Use((*name).to_owned()),
        ("compare", names) => Command::Compare(names.iter().map(|name| (*name).to_owned()).collect()),
        ("again", []) => Command::Again,
        ("undo", []) => Command::Undo,
        ("clear", []) => Command::Clear,
        ("history", []) => Command::History,
        ("set", []) => Command::Settings,
        ("set", [name, value]) => Command::Set((*name).to_owned(), (*value).to_owned()),
        ("set", [one]) if one.contains('=') => {
            let (name, value) = one.split_once('=').unwrap_or((one, ""));
            Command::Set(name.to_owned(), value.to_owned())
        }
        ("save", [_, ..]) => Command::Save(rest.to_owned()),
        ("paste", []) => Command::Paste,
        ("exit", []) => Command::Exit,
        (name, _) => {
            return match ALL.iter().find(|spec| spec.name == name) {
                Some(spec) => Entry::Wants(spec),
                None => Entry::Unknown(name.to_owned(), nearest(name, names())),
            };
        }
    };
    Entry::Command(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(text: &str) -> Entry {
        Entry::Question(text.to_owned())
    }

    #[test]
    fn questions_stay_as_they_are() {
        for text in ["你好", "  a b ", "1/2", "clear it", "stop!", "say /help", "[gMASK]", "／", "／你好"] {
            assert_eq!(parse(text), question(text), "{text}");
        }
        assert_eq!(parse(" \t"), Entry::Empty);
        assert_eq!(parse("//help me"), question("/help me"));
        assert_eq!(parse(" // x//y"), question(" / x//y"));
    }

    #[test]
    fn every_command_is_understood() {
        let text = str::to_owned;
        for (line, command) in [
            ("/help", Command::Help),
            ("/?", Command::Help),
            (" /HELP ", Command::Help),
            ("／help", Command::Help),
            ("/adapters", Command::Adapters),
            ("/use 广告", Command::Use(text("广告"))),
            ("/compare", Command::Compare(vec![])),
            ("/compare  a b", Command::Compare(vec![text("a"), text("b")])),
            ("/again", Command::Again),
            ("/undo", Command::Undo),
            ("/clear", Command::Clear),
            (" clear ", Command::Clear),
            ("/history", Command::History),
            ("/set", Command::Settings),
            ("/set temperature 0.5", Command::Set(text("temperature"), text("0.5"))),
            ("/set top_p=0.5", Command::Set(text("top_p"), text("0.5"))),
            ("/save a b.jsonl ", Command::Save(text("a b.jsonl"))),
            ("/paste", Command::Paste),
            ("/exit", Command::Exit),
            ("/quit", Command::Exit),
            ("stop", Command::Exit),
            ("exit", Command::Exit),
            ("quit", Command::Exit),
        ] {
            assert_eq!(parse(line), Entry::Command(command), "{line}");
        }
        // Each command of the help is one that is understood, be it with other arguments.
        for name in names() {
            assert!(matches!(parse(&format!("/{name}")), Entry::Command(_) | Entry::Wants(_)), "{name}");
        }
    }

    #[test]
    fn mistakes_are_not_sent_to_the_model() {
        assert_eq!(parse("/hlep"), Entry::Unknown("hlep".into(), Some("help")));
        assert_eq!(parse("/compair a"), Entry::Unknown("compair".into(), Some("compare")));
        assert_eq!(parse("/usr/bin/env"), Entry::Unknown("usr/bin/env".into(), None));
        assert_eq!(parse("/xyzzy"), Entry::Unknown("xyzzy".into(), None));
        for (line, name) in
            [("/use", "use"), ("/use a b", "use"), ("/save", "save"), ("/set top_p", "set"), ("/undo 2", "undo")]
        {
            assert!(matches!(parse(line), Entry::Wants(spec) if spec.name == name), "{line}");
        }
    }
}
