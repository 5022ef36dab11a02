//! Commands in a conversation, through a pipe.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod chat_support;

use assert_cmd::Command;
use chat_support::{GREEDY, room, stderr};

#[test]
fn help_lists_all_commands_in_both_languages() {
    let room = room();
    let help = |locale: &str| {
        let mut command = Command::cargo_bin("glmtune").unwrap();
        command.current_dir(room.folder.path()).env("LC_ALL", locale).args(["chat", "--model_name_or_path", "base"]);
        let output = command.write_stdin("/help\n").output().unwrap();
        assert!(output.status.success() && output.stdout.is_empty(), "help is no answer");
        stderr(&output)
    };
    let (english, chinese) = (help("C"), help("zh_CN.UTF-8"));
    for name in [
        "/help",
        "/adapters",
        "/use NAME",
        "/compare [NAME ...]",
        "/again",
        "/undo",
        "/clear",
        "/history",
        "/set [NAME VALUE]",
        "/save FILE",
        "/paste",
        "/exit",
        "//text",
    ] {
        assert!(
            english.contains(&format!("\n  {name} ")) && chinese.contains(&format!("\n  {name} ")),
            "{name}: {english}"
        );
    }
    assert!(english.contains("forget the conversation") && chinese.contains("清空对话历史"));
    assert!(english.is_ascii(), "{english}");
}

#[test]
fn what_is_no_command_is_not_sent() {
    let room = room();
    let (out, err) = room.answers(GREEDY, "/hlep\n/nonsense\n/use\n/undo 3\n//help\n/exit\n你好\n");
    let asked = room.expected(None, &[], "/help", 9);
    assert_eq!(out, format!("{asked}\n"), "two slashes ask for one");
    for part in ["no command /hlep", "did you mean /help?", "no command /nonsense", "usage: /use NAME", "usage: /undo"]
    {
        assert!(err.contains(part), "expected {part:?} in {err}");
    }
}

#[test]
fn questions_may_have_several_lines() {
    let room = room();
    let asked = |text: &str| room.expected(None, &[], text, 9) + "\n";
    let (several, joined) = (asked("一\n\n/help 二"), asked("一\n二"));
    let flags = format!("{GREEDY} --no_history");
    let typed =
        "\"\"\"\n一\n\n/help 二\n\"\"\"\n/paste\n一\n\n/help 二\n\"\"\"\n一\\\n二\n\"\"\"\n\"\"\"\n\"\"\"一\n二";
    let (out, _) = room.answers(&flags, typed);
    assert_eq!(out, format!("{several}{several}{joined}{joined}"));
}

#[test]
fn turns_are_shown_taken_back_and_forgotten() {
    let room = room();
    let first = room.expected(None, &[], "你好", 9);
    let turn = ("你好".to_owned(), first.clone());
    let second = room.expected(None, std::slice::from_ref(&turn), "裙子", 9);
    let other = room.expected(None, &[turn], "颜色", 9);
    let typed = "/undo\n/history\n/again\n你好\n裙子\n/undo\n颜色\n/history\n/clear\n你好\n";
    let (out, err) = room.answers(GREEDY, typed);
    assert_eq!(out, format!("{first}\n{second}\n{other}\n{first}\n"));
    assert_eq!(err.matches("there is no turn yet").count(), 3, "{err}");
    assert!(err.contains("Forgotten: 裙子"), "{err}");
    // The model may say anything; what it says is shown without what a terminal could obey.
    let shown = |text: &str| text.replace(char::is_control, "\u{fffd}");
    let (first, other) = (shown(&first), shown(&other));
    assert!(err.contains(&format!("1. You: 你好\nChatGLM: {first}\n2. You: 颜色\nChatGLM: {other}\n")), "{err}");
    assert!(err.contains("The conversation is forgotten."), "{err}");
}

#[test]
fn an_answer_is_made_anew() {
    let room = room();
    let flags = "--max_new_tokens 12 --top_p 1 --seed 5";
    let (out, _) = room.answers(flags, "你好\n/again\n/again\n/save a.jsonl\n");
    let answers: Vec<&str> = out.lines().collect();
    assert!(answers[0] != answers[1] && answers[1] != answers[2], "{out}");
    let saved = std::fs::read_to_string(room.folder.path().join("a.jsonl")).unwrap();
    let line = serde_json::json!({ "messages": [
        { "role": "user", "content": "你好" }, { "role": "assistant", "content": answers[2] }
    ] });
    assert_eq!(serde_json::from_str::<serde_json::Value>(&saved).unwrap(), line, "the new answer replaces the old one");
    let (greedy, err) = room.answers(GREEDY, "你好\n/again\n");
    let answers: Vec<&str> = greedy.lines().collect();
    assert!(answers.len() == 2 && answers[0] == answers[1] && err.contains("do_sample is false"), "{err}");
}

#[test]
fn settings_change_while_the_conversation_goes_on() {
    let room = room();
    let greedy = room.expected(None, &[], "你好", 4);
    let typed = "/set do_sample false\n/set max_new_tokens=4\n你好\n/set max_new_tokens 0\n/set temprature 1\n/set\n/clear\n你好\n";
    let (out, err) = room.answers("--max_new_tokens 30", typed);
    assert_eq!(out, format!("{greedy}\n{greedy}\n"));
    assert!(err.contains("max_new_tokens: expected 1, 2, 3, ..., none; found \"0\""), "{err}");
    assert!(err.contains("did you mean temperature?") && err.contains("\n  do_sample false\n"), "{err}");
    let seeded = |typed: &str| room.answers("--max_new_tokens 12 --top_p 1 --seed 1", typed).0;
    assert_eq!(seeded("/set seed 1\n你好\n"), seeded("你好\n"));
    assert_ne!(seeded("/set seed 2\n你好\n"), seeded("你好\n"));
}

#[test]
fn a_saved_conversation_can_be_trained_on_and_is_never_replaced() {
    let room = room();
    let typed =
        "/save nothing.jsonl\n你好\n/save my talk.jsonl\n裙子\n/save my talk.jsonl\n/save no/such/folder.jsonl\n";
    let (_, err) = room.answers(&format!("{GREEDY} --system_prompt 请简短 --no_history"), typed);
    assert!(err.contains("there is no turn yet") && err.contains("Saved in my talk.jsonl, turns: 1"), "{err}");
    assert!(err.contains("my talk.jsonl is there already") && err.contains("not saved: no/such/folder.jsonl"), "{err}");
    let file = room.folder.path().join("my talk.jsonl");
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1);
    let mut check = Command::cargo_bin("glmtune").unwrap();
    check.args(["data", "check"]).arg(&file).args(["--model_name_or_path"]).arg(room.folder.path().join("base"));
    let output = check.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 of 1 rows used"), "{output:?}");
    let left: Vec<_> = std::fs::read_dir(room.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "base and the one file");
}

#[test]
fn nothing_is_kept_of_what_comes_through_a_pipe() {
    let room = room();
    let state = room.folder.path().join("state");
    let mut command = Command::cargo_bin("glmtune").unwrap();
    command.current_dir(room.folder.path()).env("XDG_STATE_HOME", &state);
    let flags = format!("chat --model_name_or_path base {GREEDY}");
    assert!(command.args(flags.split(' ')).write_stdin("你好\n").output().unwrap().status.success());
    assert!(!state.exists());
}
