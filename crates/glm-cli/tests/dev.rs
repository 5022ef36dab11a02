//! `glmtune dev random-base`.

mod args_support;

use std::fs;
use std::path::Path;

use args_support::{glmtune, stderr};
use glm_model::{LoadOptions, Network};
use glm_testkit::fixture;

const SMALL: &str =
    "dev random-base --layers 2 --hidden_size 32 --ffn_hidden_size 24 --num_attention_heads 4 --kv_channels 8";

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn writes_a_folder_that_loads() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tokenizer = fixture("tiny-tokenizer/tokenizer.model").canonicalize().expect("it exists");
    for (flags, files) in [
        ("", vec!["config.json", "pytorch_model.bin"]),
        (
            "--dtype bf16 --format safetensors --shard_size 250kB",
            vec![
                "config.json",
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
                "model.safetensors.index.json",
            ],
        ),
    ] {
        let out = folder.path().join("new/base");
        let words = format!("{SMALL} {flags} --padded_vocab_size 3000 --seq_length 512 --out new/base");
        let output = glmtune(folder.path(), &words);
        assert!(output.status.success(), "{words}: {}", stderr(&output));
        assert!(stderr(&output).contains("2 layers"), "{}", stderr(&output));
        assert_eq!(names(&out), files);
        assert_eq!(names(&folder.path().join("new")), ["base"], "nothing is left beside it");
        let network = Network::load(&out, LoadOptions::default(), &mut |_, _| {}).expect("a valid base");
        assert_eq!((network.config().seq_length, network.config().vocab_size), (512, 3000));
        fs::remove_dir_all(&out).expect("removable");
    }
    let words = format!("{SMALL} --padded_vocab_size 70000 --out b --tokenizer {}", tokenizer.display());
    let output = glmtune(folder.path(), &words);
    assert!(output.status.success(), "{}", stderr(&output));
    let copied = fs::read(folder.path().join("b/tokenizer.model")).expect("a copy");
    assert_eq!(copied, fs::read(tokenizer).expect("readable"));
}

#[test]
fn nothing_is_replaced_and_nothing_is_left_after_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("mine")).expect("writable");
    fs::write(folder.path().join("mine/notes.txt"), "mine").expect("writable");
    fs::write(folder.path().join("file"), "mine").expect("writable");
    for (flags, part, code) in [
        ("--out mine", "not empty", 2),
        ("--out file", "is no folder", 2),
        ("--out new --num_attention_heads 3", "num_attention_heads", 2),
        ("--out new --kv_channels 6", "kv_channels", 2),
        ("--out new --tokenizer gone.model", "gone.model", 1),
        ("--out new --padded_vocab_size 5 --tokenizer file", "file", 1),
    ] {
        let output = glmtune(folder.path(), &format!("{SMALL} --padded_vocab_size 40 {flags}"));
        assert_eq!(output.status.code(), Some(code), "{flags}: {}", stderr(&output));
        assert!(stderr(&output).contains(part), "{flags}: {}", stderr(&output));
        assert_eq!(names(folder.path()), ["file", "mine"], "{flags}");
    }
    assert_eq!(names(&folder.path().join("mine")), ["notes.txt"]);
}
