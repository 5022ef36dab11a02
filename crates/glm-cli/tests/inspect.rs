//! `glmtune inspect` on everything that it should know, whole and broken.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod args_support;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use args_support::{glmtune, stderr};
use glm_model::adapter::{PrefixConfig, PrefixEncoder, PrefixFile, write_prefix};
use glm_model::weights::WeightFolder;
use glm_model::{GlmConfig, LoadOptions, Network};
use glm_testkit::fixture;
use support::World;
use tempfile::TempDir;

/// Exit code and both outputs.
fn inspect(path: &Path) -> (i32, String, String) {
    let output = glmtune(path.parent().expect("a path in a folder"), &format!("inspect {}", path.display()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().expect("no signal"), text, stderr(&output))
}

/// Value of a row of the report.
fn fact<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix("  "));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).trim()
}

fn sound(path: &Path) -> String {
    let (code, text, error) = inspect(path);
    assert_eq!((code, error.as_str()), (0, ""), "{text}");
    text
}

fn broken(path: &Path, parts: &[&str]) {
    let (code, text, error) = inspect(path);
    assert_eq!(code, 1, "{text}{error}");
    for part in parts {
        assert!(text.contains(part) || error.contains(part), "expected {part:?} in {text}{error}");
    }
}

/// A copy that can be damaged.
fn copied(from: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for entry in fs::read_dir(fixture(from)).expect("the fixture exists") {
        let file = entry.expect("readable").path();
        let to = folder.path().join(file.file_name().expect("a name"));
        fs::write(to, fs::read(file).expect("readable")).expect("writable");
    }
    folder
}

#[test]
fn bases_in_every_form() {
    for (folder, form) in [
        ("glm2-tiny/model", "f16"),
        ("glm2-tiny/model-safetensors", "f16"),
        ("glm2-tiny/quant-int4", "INT4"),
        ("glm2-tiny/quant-int8", "INT8"),
    ] {
        let text = sound(&fixture(folder));
        let config = GlmConfig::read(&fixture(folder)).expect("a valid fixture");
        let network = Network::load(&fixture(folder), LoadOptions::default(), &mut |_, _| {}).expect("valid");
        assert!(text.contains("Base model, ChatGLM2"), "{text}");
        assert_eq!(fact(&text, "layers"), config.num_layers.to_string());
        assert!(fact(&text, "stored as").starts_with(form), "{text}");
        assert_eq!(fact(&text, "weights").replace(',', ""), network.parameter_count().to_string());
        assert_eq!(fact(&text, "values"), "all finite");
        assert!(fact(&text, "tokenizer").starts_with("no tokenizer.model"), "{text}");
        assert!(fact(&text, "memory").contains(" as INT"), "{text}");
    }
}

#[test]
fn broken_bases_say_everything_that_is_wrong() {
    let folder = copied("glm2-tiny/model-safetensors");
    let weights = folder.path().join("model.safetensors");
    let whole = fs::read(&weights).expect("readable");
    let name = "transformer.encoder.layers.0.mlp.dense_h_to_4h.weight";
    let place = WeightFolder::open(&weights).expect("valid").entry(name).expect("it is there").range.clone();
    // A NaN and an infinity in half precision.
    let mut bytes = whole.clone();
    bytes[place.start + 20..place.start + 24].copy_from_slice(&[0x01, 0x7e, 0x00, 0xfc]);
    fs::write(&weights, &bytes).expect("writable");
    let counted = format!("{name}: 1 NaN and 1 infinite values, the first at element 10");
    broken(folder.path(), &[&counted, "not finite in 1 tensor", "one problem"]);

    fs::write(&weights, &whole).expect("writable");
    let config = folder.path().join("config.json");
    let text = fs::read_to_string(&config).expect("readable");
    let mut raw: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).expect("json");
    let layers = raw["num_layers"].as_u64().expect("a number");
    raw.insert("num_layers".into(), (layers - 1).into());
    raw.insert("ffn_hidden_size".into(), 17.into());
    fs::write(&config, serde_json::to_string(&raw).expect("json")).expect("writable");
    let unexpected = format!("unexpected: transformer.encoder.layers.{}.", layers - 1);
    broken(folder.path(), &[&unexpected, "wrong shape: transformer.encoder.layers.0.mlp.dense_h_to_4h.weight is"]);

    fs::write(&config, text).expect("writable");
    fs::write(&weights, &whole[..whole.len() / 2]).expect("writable");
    broken(folder.path(), &["model.safetensors", "layers", "download it again"]);
    fs::remove_file(&weights).expect("removable");
    broken(folder.path(), &["holds no weights"]);
    fs::write(&config, "{").expect("writable");
    broken(folder.path(), &["config.json", "not a json object"]);

    let folder = copied("glm2-tiny/model");
    fs::remove_file(folder.path().join("pytorch_model-00002-of-00002.bin")).expect("removable");
    broken(folder.path(), &["pytorch_model-00002-of-00002.bin", "missing"]);
    fs::write(folder.path().join("tokenizer.model"), "no vocabulary").expect("writable");
    broken(folder.path(), &["tokenizer.model", "which cannot be used"]);
}

#[test]
fn checkpoints_with_and_without_what_belongs_to_them() {
    for (folder, projection) in
        [("glm2-tiny/ptuning-noproj-checkpoint", "no"), ("glm2-tiny/ptuning-proj-checkpoint", "yes")]
    {
        let prefix = PrefixFile::open(&fixture(folder)).expect("a valid fixture");
        let text = sound(&fixture(folder));
        assert_eq!(fact(&text, "pre_seq_len"), prefix.pre_seq_len().to_string());
        assert_eq!(fact(&text, "projection"), projection);
        assert!(fact(&text, "base").ends_with("(config.json)"), "{text}");
        let text = sound(&fixture(folder).join("pytorch_model.bin"));
        assert_eq!(fact(&text, "pre_seq_len"), prefix.pre_seq_len().to_string());
        assert!(fact(&text, "base").contains("no published model"), "{text}");
    }
    let folder = copied("glm2-tiny/ptuning-noproj-checkpoint");
    let config = folder.path().join("config.json");
    let text = fs::read_to_string(&config).expect("readable");
    let mut raw: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).expect("json");
    raw.insert("pre_seq_len".into(), 999.into());
    raw.insert("prefix_projection".into(), true.into());
    raw.insert("num_layers".into(), 29.into());
    fs::write(&config, serde_json::to_string(&raw).expect("json")).expect("writable");
    broken(folder.path(), &["pre_seq_len 999", "prefix_projection true", "29 layers", "3 problems"]);
}

#[test]
fn our_checkpoints_show_their_metadata_and_the_published_model_they_fit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = PrefixConfig {
        pre_seq_len: 4,
        prefix_projection: false,
        num_layers: 28,
        key_value_width: 512,
        hidden_size: 4096,
        projected_from: 28 * 512,
    };
    let encoder = PrefixEncoder::new(config, &mut glm_data::Rng::new(1)).expect("memory");
    let metadata = BTreeMap::from([("method".to_string(), "ptuning-v2".to_string())]);
    write_prefix(folder.path(), &encoder, &metadata).expect("writable");
    let text = sound(folder.path());
    assert!(fact(&text, "base").contains("ChatGLM2-6B"), "{text}");
    assert_eq!(fact(&text, "method"), "ptuning-v2");
    assert_eq!(fact(&text, "trained weights"), "57,344");
    for file in ["pytorch_model.bin", "adapter.safetensors"] {
        assert_eq!(fact(&sound(&folder.path().join(file)), "pre_seq_len"), "4");
    }
    // The twin alone, then a twin of another prefix.
    let torch = folder.path().join("pytorch_model.bin");
    let bytes = fs::read(&torch).expect("readable");
    fs::remove_file(&torch).expect("removable");
    sound(folder.path());
    let other = PrefixEncoder::new(config, &mut glm_data::Rng::new(2)).expect("memory");
    write_prefix(folder.path(), &other, &metadata).expect("writable");
    fs::write(&torch, bytes).expect("writable");
    broken(folder.path(), &["adapter.safetensors", "another prefix"]);
}

#[test]
fn runs_and_their_checkpoints() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = |step: u64| {
        format!(
            "{{\"best_metric\": null, \"best_model_checkpoint\": null, \"epoch\": 1.5, \"global_step\": {step}, \
             \"log_history\": [{{\"epoch\": 1.5, \"loss\": 3.25, \"learning_rate\": 0.01, \"step\": {step}}}], \
             \"max_steps\": 30, \"num_train_epochs\": 3, \"total_flos\": 0.0}}"
        )
    };
    for step in [10, 20] {
        let checkpoint = folder.path().join(format!("checkpoint-{step}"));
        fs::create_dir(&checkpoint).expect("writable");
        fs::write(checkpoint.join("trainer_state.json"), state(step)).expect("writable");
    }
    fs::write(folder.path().join("trainer_state.json"), state(20)).expect("writable");
    fs::write(folder.path().join("train_results.json"), "{}").expect("writable");
    let text = sound(folder.path());
    assert_eq!(fact(&text, "progress"), "step 20 of 30, epoch 1.50 of 3");
    assert_eq!(fact(&text, "last loss"), "3.25 at step 20");
    assert_eq!(fact(&text, "checkpoints"), "checkpoint-10, checkpoint-20");
    assert_eq!(fact(&text, "results"), "train_results.json");
    fs::create_dir(folder.path().join("checkpoint-30")).expect("writable");
    broken(folder.path(), &["checkpoint-30 is not complete"]);
    fs::write(folder.path().join("checkpoint-30/trainer_state.json"), "{").expect("writable");
    broken(&folder.path().join("checkpoint-30"), &["trainer_state.json"]);
}

#[test]
fn other_files_and_nothing_at_all() {
    let text = sound(&fixture("glm2-tiny/model/pytorch_model-00001-of-00002.bin"));
    let weights = WeightFolder::open(&fixture("glm2-tiny/model/pytorch_model-00001-of-00002.bin")).expect("valid");
    assert_eq!(fact(&text, "tensors"), weights.names().count().to_string());
    assert!(fact(&text, "transformer.embedding.word_embeddings.weight").starts_with("f16"), "{text}");
    let text = sound(&fixture("tiny-tokenizer/tokenizer.model"));
    assert!(text.contains("Vocabulary"), "{text}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    broken(folder.path(), &["no config.json"]);
    broken(&folder.path().join("gone"), &["no such file or folder"]);
    #[cfg(unix)]
    broken(Path::new("/dev/null"), &["/dev/null: it is neither a regular file nor a folder"]);
    fs::write(folder.path().join("page.bin"), "<html></html>").expect("writable");
    broken(&folder.path().join("page.bin"), &["web page"]);
}

#[test]
fn the_state_of_a_run_says_what_it_is() {
    let world = World::new();
    for (method, run) in [("--pre_seq_len 4 --prefix_projection", "prefix"), ("--lora_rank 2", "lora")] {
        world.ok(&format!(
            "train --do_train --train_file train.json --model_name_or_path base --output_dir {run} --max_steps 2 {method} \
             --max_source_length 32 --max_target_length 16"
        ));
        let file = world.path(run).join("checkpoint-2/training_state.safetensors");
        let text = sound(&file);
        assert!(text.contains("Training state"), "{text}");
        let tensors = WeightFolder::open(&file).expect("whole").names().count();
        assert_eq!(tensors % 3, 0);
        let holds = format!("{} trained tensors and the optimizer's two moments of each", tensors / 3);
        assert_eq!((fact(&text, "holds"), fact(&text, "step")), (holds.as_str(), "2"));
        let state = world.path(run).join("checkpoint-2/training_state.json");
        fs::write(&state, "{").expect("writable");
        broken(&file, &["training_state.json", "damaged"]);
        fs::remove_file(state).expect("removable");
        assert!(fact(&sound(&file), "step").contains("is not beside it"));
        let mut bytes = fs::read(&file).expect("readable");
        let at = bytes.windows(11).position(|part| part == b"exp_avg_sq.").expect("a moment");
        bytes[at..at + 11].copy_from_slice(b"exp_avg.xx.");
        fs::write(&file, bytes).expect("writable");
        broken(&file, &["2 problems", "exp_avg_sq.", "is missing"]);
    }
}

#[test]
fn gguf_files_say_what_they_hold() {
    let world = World::new();
    world.ok("export --model_name_or_path base --to gguf --gguf_type q8_0 --out model.gguf");
    let path = world.path("model.gguf");
    let text = sound(&path);
    assert_eq!(fact(&text, "architecture"), "chatglm");
    let bytes = fs::read(&path).expect("readable");
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes")).to_string();
    assert_eq!((fact(&text, "tensors"), fact(&text, "keys")), (number(8).as_str(), number(16).as_str()));
    let stored = fact(&text, "stored as");
    assert!(stored.contains("F32 (") && stored.contains("Q8_0 ("), "{stored}");

    // Broken in every way: never a panic, never much memory.
    let whole = fs::read(&path).expect("readable");
    let cut = world.path("cut.gguf");
    for length in [0, 3, 4, 8, 20, 24, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&cut, &whole[..length]).expect("writable");
        broken(&cut, &["cut.gguf: not a whole GGUF file"]);
    }
    let head = |tensors: u64, keys: u64| {
        [b"GGUF".to_vec(), 3u32.to_le_bytes().to_vec(), tensors.to_le_bytes().to_vec(), keys.to_le_bytes().to_vec()]
            .concat()
    };
    let text = |text: &str| [(text.len() as u64).to_le_bytes().to_vec(), text.as_bytes().to_vec()].concat();
    let numbers = |numbers: &[u32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    let longs = |numbers: &[u64]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    let array_in_array = (0..100).flat_map(|_| [numbers(&[9]), longs(&[1])].concat()).collect::<Vec<u8>>();
    for (bytes, part) in [
        (head(u64::MAX, 0), "where the file ends"),
        (head(0, u64::MAX), "where the file ends"),
        ([head(0, 1), longs(&[u64::MAX])].concat(), "a name has 18446744073709551615 bytes"),
        ([head(0, 1), text("general.alignment"), numbers(&[4, 0])].concat(), "general.alignment is 0"),
        ([head(0, 1), text("a"), numbers(&[9, 0]), longs(&[u64::MAX])].concat(), "where the file ends"),
        ([head(0, 1), text("a"), numbers(&[9, 12]), longs(&[u64::MAX / 4])].concat(), "where the file ends"),
        ([head(0, 1), text("a"), numbers(&[9, 8]), longs(&[u64::MAX])].concat(), "where the file ends"),
        ([head(0, 1), text("a"), numbers(&[9]), array_in_array].concat(), "too deep"),
        ([head(0, 1), text("a"), numbers(&[77])].concat(), "has the type 77"),
        ([head(1, 0), text("a"), numbers(&[5])].concat(), "5 dimensions"),
        (
            [head(1, 0), text("a"), numbers(&[2]), longs(&[u64::MAX, 2]), numbers(&[0]), longs(&[0])].concat(),
            "larger than",
        ),
        (
            [head(1, 0), text("a"), numbers(&[1]), longs(&[u64::MAX]), numbers(&[0]), longs(&[0])].concat(),
            "past any file",
        ),
        (
            [head(1, 0), text("a"), numbers(&[1]), longs(&[1]), numbers(&[0]), longs(&[u64::MAX])].concat(),
            "past any file",
        ),
        (
            [head(1, 0), text("a"), numbers(&[1]), longs(&[64]), numbers(&[12]), longs(&[0])].concat(),
            "its tensors end at",
        ),
        (b"GGUF\0\0\0\x03".to_vec(), "its version is 50331648"),
        (b"<html>".to_vec(), "does not begin with GGUF"),
    ] {
        fs::write(&cut, bytes).expect("writable");
        broken(&cut, &["not a whole GGUF file", part]);
    }
    // A type of tomorrow is no fault.
    let name = [head(1, 1), text("general.architecture"), numbers(&[8]), text("a\u{1b}[2Jb")].concat();
    let bytes = [name, text("a"), numbers(&[1]), longs(&[1]), numbers(&[99]), longs(&[0]), vec![0; 64]].concat();
    fs::write(&cut, bytes).expect("writable");
    let text = sound(&cut);
    assert_eq!(fact(&text, "stored as"), "type 99 (1 tensor)");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn the_vocabulary_of_chatglm_6b_alone_names_what_is_assumed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("ice_text.model");
    fs::copy(fixture("glm1-tokenizer/ice_text.model"), &path).expect("writable");
    let tokens = |text: &str| -> usize {
        fact(text, "tokens").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{text}"))
    };
    let alone = sound(&path);
    assert!(fact(&alone, "image tokens").starts_with("20000 of them, assumed"), "{alone}");
    fs::write(folder.path().join("tokenizer_config.json"), r#"{"num_image_tokens": 0}"#).expect("writable");
    let told = sound(&path);
    assert!(!told.contains("assumed"), "{told}");
    assert_eq!(tokens(&alone), tokens(&told) + 20_000);
}
