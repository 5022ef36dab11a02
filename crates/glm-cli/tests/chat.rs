//! `glmtune chat` through a pipe, on a small random base.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod chat_support;

use assert_cmd::Command;
use chat_support::{GREEDY, refused, room};
use glm_data::prompt;
use glm_model::adapter::{PrefixConfig, PrefixEncoder, PrefixFile};
use glm_model::{DenseType, LoadOptions, Network, Scheme};
use glm_testkit::write_random_base;
use std::path::Path;

#[test]
fn a_conversation_remembers_until_it_is_cleared() {
    let room = room();
    let (first, second) = ("你好", "[gMASK]sop 白色的裙子？");
    let answer = room.expected(None, &[], first, 9);
    let turn = (first.to_owned(), answer.clone());
    let after = room.expected(None, std::slice::from_ref(&turn), second, 9);
    let alone = room.expected(None, &[], second, 9);
    assert!(!answer.is_empty() && after != alone, "the questions cannot tell histories apart");

    let (out, err) = room.answers(GREEDY, &format!("{first}\r\n\n{second}\n clear \n{second}\nstop\n{first}\n"));
    assert_eq!(out, format!("{answer}\n{after}\n{alone}\n"));
    assert!(err.contains("Ask away") && err.contains("The conversation is forgotten."), "{err}");

    let (out, _) = room.answers(&format!("{GREEDY} --no_history"), &format!("{first}\n{second}"));
    assert_eq!(out, format!("{answer}\n{alone}\n"), "a last line without an end is a question too");

    // Too little room for the first turn.
    let length = prompt::prompt_ids(&room.tokenizer, second, &[turn], None).len() + 8;
    let (out, err) = room.answers(&format!("{GREEDY} --max_length {length}"), &format!("{first}\n{second}\n"));
    assert_eq!(out, format!("{answer}\n{alone}\n"));
    assert!(err.contains(&format!("to stay within max_length {length}")), "{err}");
    let (out, err) = room.answers(&format!("{GREEDY} --max_length 5"), &format!("{first}\nexit\n"));
    assert!(out.is_empty() && err.contains("leaves no room for an answer"), "{err}");
}

#[test]
fn samples_follow_the_seed() {
    let room = room();
    let run = |seed: u32| room.answers(&format!("--max_new_tokens 12 --top_p 1 --seed {seed}"), "你好\n你好\n").0;
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    let one = room.answers("--max_new_tokens 12 --top_p 1 --no_history", "你好\n你好\n").0;
    let lines: Vec<&str> = one.lines().collect();
    assert_ne!(lines.first(), lines.last(), "the same question again draws anew");
}

#[test]
fn a_checkpoint_answers_over_every_form_of_the_base() {
    let room = room();
    let prefix = room.prefix("checkpoint-3", 3);
    let expected = room.expected(Some(&prefix), &[], "你好", 9);
    assert_ne!(expected, room.expected(None, &[], "你好", 9));
    let with = format!("{GREEDY} --ptuning_checkpoint checkpoint-3");
    for flags in ["", "--pre_seq_len 5", "--base_dtype f32", "--threads 1"] {
        let (out, err) = room.answers(&format!("{with} {flags}"), "你好\n");
        assert_eq!(out.trim_end(), expected, "{flags}");
        assert!(err.contains("prefix: 5 × "), "{err}");
    }
    let dense = |dtype| Scheme::Dense { dtype: Some(dtype) };
    let mut different = 0;
    for (flags, scheme) in [
        ("--quantization_bit 4", (Scheme::Int4, None)),
        ("--quantization_bit 8", (Scheme::Int8, None)),
        ("--quantization_bit 4 --quantization_group 32", (Scheme::Int4Group { group: 32 }, None)),
        ("--base_dtype bf16", (dense(DenseType::Bf16), None)),
        ("--base_dtype f16", (dense(DenseType::F16), None)),
        ("--quantization_bit 4 --output_layer_bit 8", (Scheme::Int4, Some(Scheme::Int8))),
        ("--base_dtype f16 --output_layer_bit 4", (dense(DenseType::F16), Some(Scheme::Int4))),
    ] {
        let (scheme, output_layer) = scheme;
        let options = LoadOptions { scheme, output_layer, ..LoadOptions::default() };
        let network = Network::load(&room.folder.path().join("base"), options, &mut |_, _| {}).unwrap();
        let (out, _) = room.answers(&format!("{with} {flags}"), "你好\n");
        let held = room.expected_from(&network, Some(&prefix), &[], "你好", 9);
        assert_eq!(out.trim_end(), held, "{flags}");
        different += usize::from(held != expected);
    }
    assert!(different > 0, "every form answers as the stored one: the flags may not arrive");
    let file = PrefixFile::open(&room.folder.path().join("checkpoint-3")).unwrap();
    assert_eq!(file.pre_seq_len(), 5);
}

#[test]
fn what_does_not_fit_together_is_named() {
    let room = room();
    let path = |name: &str| room.folder.path().join(name);
    room.prefix("checkpoint-3", 3);
    let chat = |flags: &str| room.chat(&format!("{GREEDY} {flags}"), "你好\n");
    refused(&chat("--model_name_or_path THUDM/chatglm2-6b --offline"), 1, &["there is no such folder", "--offline"]);
    let contradiction = "--model_name_or_path base --ptuning_checkpoint checkpoint-3 --pre_seq_len 128";
    refused(&chat(contradiction), 2, &["pre_seq_len 5", "--pre_seq_len 128"]);
    refused(&chat("--model_name_or_path base --ptuning_checkpoint base"), 2, &["whole model without an adapter"]);
    refused(
        &chat("--model_name_or_path checkpoint-3"),
        2,
        &["it holds only a P-Tuning prefix", "--ptuning_checkpoint"],
    );

    let copy = |to: &Path, names: &[&str]| {
        std::fs::create_dir(to).unwrap();
        for name in names {
            std::fs::copy(path("base").join(name), to.join(name)).unwrap();
        }
    };
    copy(&path("bare"), &["config.json", "model.safetensors"]);
    refused(&chat("--model_name_or_path bare"), 1, &["needs tokenizer.model"]);
    copy(&path("small"), &["tokenizer.model"]);
    write_random_base(&path("small"), room.tokenizer.vocab_size() - 1, 7);
    let sizes = [room.tokenizer.vocab_size().to_string(), (room.tokenizer.vocab_size() - 1).to_string()];
    refused(&chat("--model_name_or_path small"), 1, &[&sizes[0], &sizes[1]]);

    let output = room.chat("--model_name_or_path base", "你好\n");
    assert!(output.status.success());
    let mut command = Command::cargo_bin("glmtune").unwrap();
    command.current_dir(room.folder.path()).args(["chat", "--model_name_or_path", "base"]);
    refused(&command.write_stdin(b"\xc4\xe3\xba\xc3\n").output().unwrap(), 1, &["not UTF-8"]);
}

#[test]
fn numbers_that_are_not_finite_end_the_program_with_an_error() {
    let room = room();
    let config = PrefixConfig::new(room.network.config(), 2, false);
    let huge = PrefixEncoder::from_values(config, |_, n| vec![f32::MAX; n]).unwrap();
    room.save("diverged", &huge, &[]);
    let output =
        room.chat(&format!("--model_name_or_path base --ptuning_checkpoint diverged {GREEDY}"), "你好\n你好\n");
    refused(&output, 1, &["at token 1 of the answer", "are not finite"]);
    assert!(output.stdout.trim_ascii().is_empty(), "nothing is put in place of a token");
    let output = room.chat(&format!("--model_name_or_path base --adapter bad=diverged {GREEDY}"), "/compare\n你好\n");
    refused(&output, 1, &["bad: at token 1 of the answer"]);
    let by_base = room.expected(None, &[], "你好", 9);
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("[base]\n{by_base}\n[bad]\n\n"));
}

#[cfg(unix)]
#[test]
fn sigint_stops_the_answer_and_not_the_program() {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::{Command, Stdio};

    let room = room();
    room.prefix("a", 3);
    let beginning = room.expected(None, &[], "你好", 500);
    assert!(beginning.len() > 400 && !beginning.contains('\n'), "the answer is too short to be stopped");
    let mut chat = Command::new(env!("CARGO_BIN_EXE_glmtune"))
        .current_dir(room.folder.path())
        .args("chat --model_name_or_path base --do_sample false --max_length 1000000 --no_history".split(' '))
        .args("--adapter a=a".split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let interrupt = |id: u32| Command::new("kill").args(["-INT", &id.to_string()]).status().unwrap();
    let (mut questions, mut answers) = (chat.stdin.take().unwrap(), BufReader::new(chat.stdout.take().unwrap()));
    questions.write_all("/use base\n".as_bytes()).unwrap();
    for _ in 0..2 {
        questions.write_all("你好\n".as_bytes()).unwrap();
        let mut begun = [0; 30];
        answers.read_exact(&mut begun).unwrap();
        assert!(interrupt(chat.id()).success());
        let mut rest = Vec::new();
        answers.read_until(b'\n', &mut rest).unwrap();
        assert_eq!(rest.last(), Some(&b'\n'), "the answer ends as a line");
    }
    // Of several, all are stopped, and the others are still shown.
    questions.write_all("/compare\n你好\n".as_bytes()).unwrap();
    let mut line = || {
        let mut line = Vec::new();
        answers.read_until(b'\n', &mut line).unwrap();
        String::from_utf8_lossy(&line).into_owned()
    };
    assert_eq!(line(), "[base]\n");
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(interrupt(chat.id()).success());
    assert!(line().len() > 1);
    assert_eq!(line(), "[a]\n");
    assert!(line().len() > 1);
    questions.write_all(b"stop\n").unwrap();
    assert!(chat.wait().unwrap().success());
}

#[test]
fn a_system_prompt_stands_before_the_conversation() {
    let room = room();
    let (plain, _) = room.answers(GREEDY, "你好\n");
    let (with, _) = room.answers(&format!("{GREEDY} --system_prompt 请用一句话回答"), "你好\n");
    assert_ne!(plain, with, "the text changes what the model sees");
}
