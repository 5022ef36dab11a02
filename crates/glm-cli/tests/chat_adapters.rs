//! Several adapters in one conversation.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod chat_support;

use chat_support::{GREEDY, Room, refused, room};
use glm_data::{Turn, prompt};
use glm_model::adapter::{PrefixConfig, PrefixEncoder};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// In f32, as the expected answers are made: products in bf16 may choose otherwise between tokens that are as good.
const THREE: &str = "--compute f32 --adapter one=a --adapter 二=b --adapter single=c";

/// With prefixes in `a`, `b` and `c`, of which the last was trained on single questions behind a text.
fn with_adapters() -> (Room, [PrefixEncoder; 3]) {
    let room = room();
    let prefix = |seed| {
        let config = PrefixConfig::new(room.network.config(), 5, false);
        PrefixEncoder::new(config, &mut glm_data::Rng::new(seed)).unwrap()
    };
    let prefixes = [prefix(3), prefix(4), prefix(5)];
    room.save("a", &prefixes[0], &[]);
    room.save("b", &prefixes[1], &[("turns", "history")]);
    room.save("c", &prefixes[2], &[("turns", "single"), ("source_prefix", "广告：")]);
    (room, prefixes)
}

/// The answer of the third of [`with_adapters`].
fn single(room: &Room, prefix: &PrefixEncoder, question: &str) -> String {
    let ids = prompt::prompt_ids(&room.tokenizer, question, &[], None);
    let mut text = "广告：".to_owned();
    text += &prompt::build_prompt(room.tokenizer.variant(), question, &[]).unwrap();
    let behind = room.tokenizer.encode_prompt(&text);
    assert_ne!(ids, behind);
    room.answer_to(&room.network, Some(prefix), behind, 9)
}

#[test]
fn whoever_answers_the_conversation_is_one() {
    let (room, [one, two, three]) = with_adapters();
    let first = room.expected(Some(&one), &[], "你好", 9);
    let mut turns: Vec<Turn> = vec![("你好".into(), first.clone())];
    let second = room.expected(Some(&two), &turns, "裙子", 9);
    turns.push(("裙子".into(), second.clone()));
    let third = single(&room, &three, "颜色");
    turns.push(("颜色".into(), third.clone()));
    let again = single(&room, &three, "颜色");
    turns.push(("颜色".into(), again.clone()));
    let fifth = room.expected(None, &turns, "你好", 9);
    assert_ne!(fifth, room.expected(None, &turns[1..], "你好", 9), "the question cannot tell histories apart");

    let typed = "你好\n/use 二\n裙子\n/use single\n颜色\n颜色\n/use base\n你好\n/use nobody\n/use sinlge\n/adapters\n";
    let (out, err) = room.answers(&format!("{GREEDY} {THREE}"), typed);
    assert_eq!(out, [&first, &second, &third, &again, &fifth].map(|line| format!("{line}\n")).concat());
    assert_eq!(err.matches("note: single was trained on single questions").count(), 1, "{err}");
    for part in [
        "adapter 二: P-Tuning v2 prefix, from b",
        "one answers; /adapters lists all",
        "there is no adapter \"nobody\"",
        "did you mean single?",
        "* base: the bare base",
        "  single: P-Tuning v2 prefix, gets no earlier turns, source_prefix \"广告：\"",
    ] {
        assert!(err.contains(part), "expected {part:?} in {err}");
    }
    let base_again = room.answers(&format!("{GREEDY} {THREE}"), "/use base:二\n你好\n").0;
    assert_eq!(base_again.trim_end(), room.expected(Some(&two), &[], "你好", 9), "the name of the API is one too");
}

#[test]
fn the_flags_of_one_adapter_stand_beside_the_others() {
    let (room, [one, two, _]) = with_adapters();
    let flags = format!("{GREEDY} --compute f32 --ptuning_checkpoint a --adapter a=b");
    let (out, err) = room.answers(&flags, "你好\n/use a\n你好\n/adapters\n");
    let first = room.expected(Some(&one), &[], "你好", 9);
    let second = room.expected(Some(&two), &[("你好".into(), first.clone())], "你好", 9);
    assert_eq!(out, format!("{first}\n{second}\n"));
    assert!(err.contains("adapter answers;") && err.contains("\n  adapter: P-Tuning"), "{err}");
}

#[test]
fn several_answer_side_by_side() {
    let (room, [one, two, three]) = with_adapters();
    let base = room.expected(None, &[], "你好", 9);
    let by_one = room.expected(Some(&one), &[], "你好", 9);
    let by_two = room.expected(Some(&two), &[], "你好", 9);
    let by_three = single(&room, &three, "你好");
    let all = format!("[base]\n{base}\n[one]\n{by_one}\n[二]\n{by_two}\n[single]\n{by_three}\n");
    let kept = vec![("你好".to_owned(), by_one.clone())];
    let later = room.expected(Some(&one), &kept, "裙子", 9);
    // Without names the answer of the one in use is kept.
    let (out, _) = room.answers(&format!("{GREEDY} {THREE}"), "/compare\n你好\n/compare\n裙子\n");
    assert_eq!(out, format!("{all}{later}\n"));

    // With names, that of the first one, and the base is there in any case.
    let kept = vec![("你好".to_owned(), by_two.clone())];
    let later = room.expected(Some(&one), &kept, "裙子", 9);
    let typed = "/compare 二 one\n你好\n/compare\n裙子\n/compare nobody\n你好\n";
    let (out, err) = room.answers(&format!("{GREEDY} {THREE}"), typed);
    let more = room.expected(Some(&one), &[kept[0].clone(), ("裙子".into(), later.clone())], "你好", 9);
    assert_eq!(out, format!("[base]\n{base}\n[二]\n{by_two}\n[one]\n{by_one}\n{later}\n{more}\n"));
    assert!(err.contains("base, 二, one answer; those of 二 are kept."), "{err}");
    assert!(err.contains("there is no adapter \"nobody\""), "{err}");

    let (_, err) = room.answers(GREEDY, "/compare\n/adapters\n");
    assert_eq!(err.matches("there is only the bare base").count(), 2, "{err}");
}

#[test]
fn all_draw_the_same_numbers() {
    let room = room();
    room.prefix("a", 3);
    room.prefix("b", 3);
    let flags = "--compute f32 --max_new_tokens 12 --top_p 1 --adapter x=a --adapter y=b";
    let (out, _) = room.answers(flags, "/compare x y\n你好\n/again\n");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((lines[2], lines[4], lines[8]), ("[x]", "[y]", "[x]"), "{out}");
    assert_eq!(lines[3], lines[5], "the same adapter twice has the same answer");
    assert_ne!(lines[3], lines[9], "and another one the next time");
}

#[test]
fn what_cannot_be_an_adapter_is_named() {
    let (room, _) = with_adapters();
    let chat = |flags: &str| room.chat(&format!("--model_name_or_path base {flags}"), "你好\n");
    refused(&chat("--adapter a"), 2, &["--adapter", "a name, an equals sign and a path"]);
    refused(&chat("--adapter base=a"), 2, &["--adapter", "stands for the bare base"]);
    refused(&chat("--adapter x=a --adapter x=b"), 2, &["--adapter", "x is given twice"]);
    refused(&chat("--adapter x/y=a"), 2, &["--adapter", "\"x/y\"", "letters"]);
    refused(&chat("--adapter x=nowhere"), 2, &["--adapter nowhere", "there is no such file"]);
    refused(&chat("--adapter x=base"), 2, &["--adapter x", "whole model without an adapter"]);
}

/// A server that is ended with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_server_answers_alike() {
    let (room, _) = with_adapters();
    let mut child = Command::new(env!("CARGO_BIN_EXE_glmtune"))
        .current_dir(room.folder.path())
        .args("serve --model_name_or_path base --port 0".split(' '))
        .args(THREE.split(' '))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let _server = Server(child);
    let address = address.trim().strip_prefix("http://").unwrap().to_owned();
    let ask = |model: &str, messages: &serde_json::Value| {
        let body = serde_json::json!({ "model": model, "messages": messages, "temperature": 0, "max_tokens": 9 });
        let body = body.to_string();
        let mut stream = TcpStream::connect(&address).unwrap();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{reply}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        body["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    };

    let questions = ["你好", "[gMASK]sop 白色的裙子？", " 第一行\\\n第二行 "];
    for (name, model) in [("base", "base"), ("one", "base:one"), ("二", "base:二"), ("single", "base:single")] {
        let typed: String = questions.map(|question| format!("\"\"\"\n{question}\n\"\"\"\n")).concat();
        let (out, _) = room.answers(
            &format!("{GREEDY} {THREE} --system_prompt 请简短"),
            &format!("/use {name}\n{typed}/save {name}.jsonl\n"),
        );
        let saved = std::fs::read_to_string(room.folder.path().join(format!("{name}.jsonl"))).unwrap();
        let saved: serde_json::Value = serde_json::from_str(&saved).unwrap();
        let messages = saved["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 1 + 2 * questions.len());
        assert_eq!(messages[0]["role"], "system");
        for asked in [2, 4, 6] {
            let served = ask(model, &messages[..asked].into());
            assert_eq!(messages[asked]["content"], serde_json::json!(served), "{name}, question {}", asked / 2);
            assert_eq!(messages[asked - 1]["content"], questions[asked / 2 - 1]);
            assert!(out.contains(&served), "{name}");
        }
    }
}
