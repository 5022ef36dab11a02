//! Broken folders and files, made one by one.

use crate::support::{FORMATS, files, load, refused, small_base, small_first_generation, with_pickle, with_weights};
use glm_model::weights::{ElementType, FileFormat, NewTensor, WeightFolder, stream_safetensors, stream_torch};
use std::fs;
use std::io::Cursor;
use std::path::Path;

fn tensor(name: &str, shape: &[usize]) -> NewTensor {
    NewTensor { name: name.into(), dtype: ElementType::F32, shape: shape.into() }
}

/// A file of tensors full of zeros.
fn zeros(format: FileFormat, tensors: &[NewTensor]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let content = &mut |i: usize, out: &mut dyn std::io::Write| out.write_all(&vec![0; tensors[i].bytes() as usize]);
    match format {
        FileFormat::Torch => stream_torch(Cursor::new(&mut bytes), tensors, content).unwrap(),
        FileFormat::Safetensors => stream_safetensors(&mut bytes, tensors, &Default::default(), content).unwrap(),
    }
    bytes
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|part| part == from).expect("the file holds it");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[test]
fn the_small_base_itself_loads() {
    for (format, _) in FORMATS {
        for shard_size in [u64::MAX, 4000] {
            load(small_base(format, shard_size).path()).unwrap();
        }
        load(small_first_generation(format).path()).unwrap();
    }
}

#[test]
fn files_that_are_no_weights_are_called_by_their_name() {
    let base = small_base(FileFormat::Torch, u64::MAX);
    let cases: [(&[u8], &[&str]); 6] = [
        (b"", &["empty"]),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", &["old torch file", "torch.save(torch.load("]),
        (b"\x80\x04\x95\r\0\0\0\0\0\0\0\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", &["old torch file"]),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", &["Git LFS pointer", "git lfs pull"]),
        (b"<!DOCTYPE html><html>Not found</html>", &["web page"]),
        (b"PK\x03\x04 and nothing more", &["torch archive"]),
    ];
    for (bytes, parts) in cases {
        refused(with_weights(base.path(), "pytorch_model.bin", bytes).path(), parts);
    }
}

#[test]
fn headers_that_promise_too_much() {
    let base = small_base(FileFormat::Safetensors, u64::MAX);
    let header = |length: u64, text: &str| [&length.to_le_bytes()[..], text.as_bytes()].concat();
    let whole = |text: &str| header(text.len() as u64, text);
    let vast = r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,4]}}"#;
    let gap = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[1000000000000,1000000000004]}}"#;
    let nested = format!("{{\"a\":{}", "[".repeat(200_000));
    for bytes in [
        header(u64::MAX, "{}"),
        header(99_999_999, "{}"),
        header(1 << 40, "{}"),
        whole(vast),
        whole(gap),
        whole(&nested),
    ] {
        refused(with_weights(base.path(), "model.safetensors", &bytes).path(), &["safetensors"]);
    }
}

#[test]
fn pickles_that_promise_too_much() {
    let base = small_base(FileFormat::Torch, u64::MAX);
    let bytes = zeros(FileFormat::Torch, &[tensor("a", &[2, 3])]);
    let integer = |n: u64| [&[0x8a, 8][..], &n.to_le_bytes()].concat();
    let refused = |from: &[u8], to: &[u8], parts: &[&str]| {
        let bytes = with_pickle(&bytes, |pickle| replace(&pickle, from, to));
        refused(with_weights(base.path(), "pytorch_model.bin", &bytes).path(), parts);
    };
    // The shape says more than is stored; then more than any memory holds.
    refused(&integer(2), &integer(200), &["tensor a", "more bytes"]);
    refused(&integer(2), &integer(1 << 62), &["tensor a"]);
    refused(&integer(2), &integer(u64::MAX), &["tensor a", "negative"]);
    refused(b"FloatStorage", b"PhonyStorage", &["tensor a", "torch.PhonyStorage"]);
    refused(b"_rebuild_tensor_v2", b"_rebuild_tensor_v9", &["torch._utils._rebuild_tensor_v9", "refused"]);
    refused(b"ccollections\nOrderedDict", b"cos\nsystem", &["os.system", "refused"]);
    refused(b"\x89ccollections\nOrderedDict\n)RtR", b"\x89NN}tR", &["tensor a", "negated"]);
}

#[test]
fn compressed_entries_are_not_blown_up() {
    let base = small_base(FileFormat::Torch, u64::MAX);
    // Method 8 (deflate) in the local and the central header of a file whose bytes are no such thing.
    let mut bytes = zeros(FileFormat::Torch, &[tensor("a", &[1 << 10])]);
    for (magic, at) in [(b"PK\x03\x04", 8), (b"PK\x01\x02", 10)] {
        let heads: Vec<usize> = (0..bytes.len() - 4).filter(|i| bytes[*i..].starts_with(magic)).collect();
        heads.into_iter().for_each(|i| bytes[i + at] = 8);
    }
    refused(with_weights(base.path(), "pytorch_model.bin", &bytes).path(), &["pytorch_model.bin"]);
}

#[test]
fn an_index_cannot_lead_outside_its_folder_or_lie() {
    for (format, _) in FORMATS {
        let base = small_base(format, 4000);
        let index = files(base.path(), ".index.json").remove(0);
        let honest = fs::read_to_string(&index).unwrap();
        let map: serde_json::Value = serde_json::from_str(&honest).unwrap();
        let shard = map["weight_map"]["transformer.output_layer.weight"].as_str().unwrap().to_string();
        for outside in ["../secret.bin", "/etc/passwd", "a/b.bin", "..", ""] {
            fs::write(&index, honest.replace(&shard, outside)).unwrap();
            refused(base.path(), &["outside its folder"]);
        }
        fs::write(&index, honest.replace(&shard, "config.json")).unwrap();
        refused(base.path(), &["config.json"]);
        fs::write(&index, honest.replace("transformer.output_layer.weight", "transformer.gone.weight")).unwrap();
        refused(base.path(), &["transformer.gone.weight", "promises"]);
        let first = files(base.path(), &format!("00001-of-{}", &shard[shard.find("-of-").unwrap() + 4..])).remove(0);
        let first = first.file_name().unwrap().to_str().unwrap();
        let moved = honest.replace(
            &format!("\"transformer.output_layer.weight\": \"{shard}\""),
            &format!("\"transformer.output_layer.weight\": \"{first}\""),
        );
        assert_ne!(moved, honest);
        fs::write(&index, moved).unwrap();
        refused(base.path(), &["transformer.output_layer.weight"]);
        for broken in ["", "{}", "[]", "{\"weight_map\": 3}", "{\"weight_map\": {\"a\": {}}}"] {
            fs::write(&index, broken).unwrap();
            refused(base.path(), &[".index.json", "not a weight index"]);
        }
        fs::write(&index, &honest).unwrap();
        fs::remove_file(base.path().join(&shard)).unwrap();
        refused(base.path(), &[&shard, "missing"]);
    }
}

#[test]
fn a_tensor_in_two_shards_is_named() {
    for (format, _) in FORMATS {
        let base = small_base(format, 4000);
        let ending = if format == FileFormat::Torch { ".bin" } else { ".safetensors" };
        let shards = files(base.path(), ending);
        fs::copy(&shards[0], &shards[1]).unwrap();
        refused(base.path(), &["is there twice"]);
    }
}

#[test]
fn tensors_that_do_not_fit_are_all_named() {
    for (format, name) in FORMATS {
        let base = small_base(format, u64::MAX);
        let some = [
            tensor("transformer.embedding.word_embeddings.weight", &[40, 31]),
            tensor("transformer.encoder.final_layernorm.weight", &[32]),
            tensor("transformer.stranger.weight", &[1]),
        ];
        refused(
            with_weights(base.path(), name, &zeros(format, &some)).path(),
            &[
                "wrong shape: transformer.embedding.word_embeddings.weight is [40, 31], expected [40, 32]",
                "missing: transformer.encoder.layers.1.mlp.dense_4h_to_h.weight, expected [32, 24]",
                "unexpected: transformer.stranger.weight, found [1]",
            ],
        );
        refused(with_weights(base.path(), name, &zeros(format, &[])).path(), &["only 0 tensors"]);
        let prefix = [tensor("transformer.prefix_encoder.embedding.weight", &[4, 64])];
        refused(with_weights(base.path(), name, &zeros(format, &prefix)).path(), &["only a P-Tuning prefix"]);
    }
}

#[test]
fn a_configuration_beside_the_weights_of_another_variant() {
    for (format, name) in FORMATS {
        let (second, first) = (small_base(format, u64::MAX), small_first_generation(format));
        let bytes = |base: &tempfile::TempDir| fs::read(base.path().join(name)).unwrap();
        refused(
            with_weights(second.path(), name, &bytes(&first)).path(),
            &[
                "missing: transformer.embedding.word_embeddings.weight",
                "one of ChatGLM2, but",
                "named as those of ChatGLM;",
            ],
        );
        refused(
            with_weights(first.path(), name, &bytes(&second)).path(),
            &["missing: transformer.word_embeddings.weight", "one of ChatGLM, but", "named as those of ChatGLM2"],
        );
    }
}

#[test]
fn a_configuration_that_promises_endless_layers_is_refused_at_once() {
    let base = small_base(FileFormat::Torch, u64::MAX);
    let path = base.path().join("config.json");
    let config = fs::read_to_string(&path).unwrap();
    for layers in ["268435456", "1000000"] {
        fs::write(&path, config.replace("\"num_layers\": 2", &format!("\"num_layers\": {layers}"))).unwrap();
        refused(base.path(), &[layers, "tensors in all"]);
    }
    fs::write(&path, config.replace("\"hidden_size\": 32", "\"hidden_size\": 268435456")).unwrap();
    refused(base.path(), &["wrong shape"]);
    fs::write(&path, config.replace("\"hidden_size\": 32", "\"hidden_size\": 99999999999999")).unwrap();
    refused(base.path(), &["hidden_size"]);
}

#[test]
fn paths_that_are_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &Path| WeightFolder::open(path).unwrap_err().to_string();
    assert!(error(folder.path()).contains("holds no weights"));
    assert!(error(&folder.path().join("gone")).contains("no such file or folder"));
}
