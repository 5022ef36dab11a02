//! A base by its name on the hub: the real binary against a stand-in server on this machine.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

#[path = "support/hub.rs"]
mod hub_server;
#[path = "support/hub_room.rs"]
mod room;
mod support;

use hub_server::{COMMIT, Hub, sha256};
use room::{Room, WEIGHTS};

fn is_stored_weights(path: &str) -> bool {
    path.starts_with("/store/") && path.ends_with(WEIGHTS)
}

#[test]
fn a_base_is_trained_on_by_its_name() {
    let room = Room::new();
    for extra in ["pytorch_model.bin", "README.md", "onnx/model.onnx", "optimizer.safetensors", "examples/run.py"] {
        room.hub.state().files.insert(extra.into(), b"not needed".into());
    }
    room.hub.state().files.insert("modeling_chatglm.py".into(), b"raise SystemExit('must not run')".into());
    for companion in ["chat_template.jinja", "added_tokens.json", "MODEL_LICENSE", "quantization_kernels.c"] {
        room.hub.state().files.insert(companion.into(), companion.into());
    }
    let train = "train --do_train --train_file train.json --prompt_column content --response_column summary \
         --model_name_or_path THUDM/tiny --output_dir out --max_source_length 32 --max_target_length 16 \
         --max_steps 1 --pre_seq_len 4";
    let text = room.ok(train);
    assert!(text.contains(&format!("downloaded {WEIGHTS} (")) && text.contains("[1/1]"), "{text}");
    let mut sent = room.hub.sent();
    sent.sort();
    sent.dedup();
    let companions = ["MODEL_LICENSE", "added_tokens.json", "chat_template.jinja"];
    let rest = ["config.json", WEIGHTS, "modeling_chatglm.py", "quantization_kernels.c", "tokenizer.model"];
    assert_eq!(sent, [&companions[..], &rest[..]].concat());

    // As Python lays it out, so that Python finds it.
    let repo = room.repo();
    assert_eq!(std::fs::read_to_string(repo.join("refs/main")).unwrap(), COMMIT);
    let link = repo.join("snapshots").join(COMMIT).join(WEIGHTS);
    let blob = sha256(&room.hub.state().files[WEIGHTS]);
    assert_eq!(std::fs::read_link(&link).unwrap(), std::path::Path::new("../../blobs").join(&blob));
    assert_eq!(std::fs::read(&link).unwrap(), room.hub.state().files[WEIGHTS]);
    assert!(room.leftovers().is_empty(), "{:?}", room.leftovers());

    // The run says what it used, and its checkpoint has the vocabulary beside it.
    assert_eq!(room.world.json("out/run_config.json")["base"]["path"], "THUDM/tiny");
    let beside = |name: &str| room.world.path("out/checkpoint-1").join(name).is_file();
    for name in ["tokenizer.model", "chat_template.jinja", "added_tokens.json"] {
        assert!(beside(name), "{name}");
    }
    assert!(!beside("modeling_chatglm.py") && !beside("MODEL_LICENSE"), "a prefix is no model");

    // The second time nothing is asked for, and the server need not be there.
    let text = room.ok(&train.replace("--output_dir out", "--output_dir again"));
    assert!(text.contains("THUDM/tiny: found in") && text.contains(COMMIT), "{text}");
    assert!(room.hub.seen().is_empty());
}

#[test]
fn a_branch_that_moves_on_in_the_middle_gives_one_commit() {
    // Of five requests for files and their sizes, and more: before the first, between two, between size and content.
    for after in [0, 1, 3, 4, 5] {
        let room = Room::new();
        let before = room.hub.state().files.clone();
        let mut later = before.clone();
        later.values_mut().for_each(|bytes| bytes.push(b'\n'));
        room.hub.state().moves = Some((after, later));
        room.hub.state().listing = Some(listing(&before));
        room.loads("");
        assert_eq!(std::fs::read_to_string(room.repo().join("refs/main")).unwrap(), COMMIT, "{after}");
        let snapshot = room.repo().join("snapshots").join(COMMIT);
        for (name, bytes) in &before {
            assert!(std::fs::read(snapshot.join(name)).unwrap() == *bytes, "{name} after {after} requests");
        }
    }
}

/// The list of files as the hub gave it when its branch stood at [`COMMIT`].
fn listing(files: &std::collections::BTreeMap<String, Vec<u8>>) -> String {
    let siblings: Vec<_> = files.keys().map(|name| serde_json::json!({"rfilename": name})).collect();
    serde_json::json!({"sha": COMMIT, "siblings": siblings}).to_string()
}

#[test]
fn a_broken_transfer_goes_on_where_it_broke() {
    let room = Room::new();
    let size = room.hub.state().files[WEIGHTS].len();
    room.hub.state().breaks = Some((size / 3, 2));
    room.loads("");
    let from: Vec<_> = room.hub.seen().iter().filter(|seen| is_stored_weights(&seen.path)).map(|s| s.from).collect();
    assert_eq!(from, [None, Some(size / 3), Some(size / 3 * 2)]);
}

#[test]
fn an_interrupted_download_is_gone_on_with_by_the_next_run() {
    let room = Room::new();
    let size = room.hub.state().files[WEIGHTS].len();
    room.hub.state().breaks = Some((1000, usize::MAX));
    // Without ranges each connection begins anew and comes no further.
    room.hub.state().no_ranges = true;
    let error = room.refused("");
    assert!(error.contains("model.safetensors") && error.contains("broke 6 times in a row"), "{error}");
    assert!(error.contains("1000 B of"), "{error}");
    assert!(!room.repo().join("refs/main").exists(), "a half model must not be found");
    assert!(room.refused("--offline").contains("lacks a finished download of main"));
    assert_eq!(room.leftovers().len(), 1);

    room.hub.seen();
    room.hub.state().no_ranges = false;
    room.hub.state().breaks = None;
    room.loads("");
    let seen = room.hub.seen();
    let from: Vec<_> = seen.iter().filter(|seen| is_stored_weights(&seen.path)).map(|s| s.from).collect();
    assert_eq!(from, [Some(1000)], "of {size} bytes");
    assert!(room.leftovers().is_empty());
}

#[test]
fn a_damaged_remainder_is_thrown_away() {
    let room = Room::new();
    let etag = sha256(&room.hub.state().files[WEIGHTS]);
    let blobs = room.repo().join("blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(format!("{etag}.incomplete")), [7; 500]).unwrap();
    let text = room.loads("");
    assert!(text.contains("the part that was there is damaged"), "{text}");

    // One that is longer than the file, too.
    let room = Room::new();
    std::fs::create_dir_all(room.repo().join("blobs")).unwrap();
    let long = vec![7; room.hub.state().files[WEIGHTS].len() + 1];
    std::fs::write(room.repo().join("blobs").join(format!("{etag}.incomplete")), long).unwrap();
    room.loads("");
}

#[test]
fn wrong_bytes_are_refused() {
    let room = Room::new();
    room.hub.state().damaged = Some(WEIGHTS.into());
    let error = room.refused("");
    for part in [WEIGHTS, "SHA-256", "HF_ENDPOINT", "THUDM/tiny"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
    assert!(!room.repo().join("refs/main").exists() && room.leftovers().is_empty());
    assert!(!room.repo().join("snapshots").join(COMMIT).join(WEIGHTS).exists());
    room.hub.state().damaged = None;
    room.loads("");
}

#[test]
fn sizes_are_checked() {
    let room = Room::new();
    let size = room.hub.state().files[WEIGHTS].len();
    for (said, part) in [
        ((size - 1).to_string(), "sends more"),
        ((size + 1).to_string(), "broke 6 times in a row"),
        (u64::MAX.to_string(), "make room"),
        ("-3".into(), "is no size"),
    ] {
        room.hub.state().headers = vec![("x-linked-size", said.clone())];
        let error = room.refused("");
        assert!(error.contains(part) && error.contains("THUDM/tiny"), "{said}: {error}");
        assert!(!room.repo().join("snapshots").join(COMMIT).join(WEIGHTS).exists());
    }
}

#[test]
fn plain_servers_do_as_well() {
    let room = Room::new();
    room.hub.state().no_head = true;
    room.hub.state().no_ranges = true;
    room.loads("");
    room.hub.state().files.insert("config.json".into(), b"{}".to_vec());
    // Another revision of the same commit: everything is there already.
    room.hub.seen();
    room.loads("--model_revision v1");
    assert_eq!(room.hub.sent(), [""; 0]);
    assert!(room.repo().join("refs/v1").is_file());
    room.loads(&format!("--model_revision {COMMIT} --offline"));
}

#[test]
fn shards_come_by_their_index() {
    let room = Room::new();
    let weights = room.hub.state().files.remove(WEIGHTS).unwrap();
    let names: Vec<String> = room::tensors(&weights);
    let map: serde_json::Map<_, _> =
        names.into_iter().map(|name| (name, "model-00001-of-00001.safetensors".into())).collect();
    let index = serde_json::json!({"metadata": {}, "weight_map": map}).to_string();
    {
        let mut state = room.hub.state();
        state.files.insert("model-00001-of-00001.safetensors".into(), weights.clone());
        state.files.insert("model-00002-of-00002.safetensors".into(), b"of another form".into());
        state.files.insert("model.safetensors.index.json".into(), index.into_bytes());
        state.files.insert("pytorch_model.bin".into(), weights);
    }
    room.loads("");
    let sent = room.hub.sent();
    assert!(sent.iter().any(|name| name == "model-00001-of-00001.safetensors"), "{sent:?}");
    assert!(!sent.iter().any(|name| name.contains("00002") || name.ends_with(".bin")), "{sent:?}");
    // One shard away: the model is no longer whole.
    std::fs::remove_file(room.repo().join("snapshots").join(COMMIT).join("model-00001-of-00001.safetensors")).unwrap();
    assert!(room.refused("--offline").contains("it lacks model-00001-of-00001.safetensors"));
    room.loads("");

    let room = Room::new();
    let index = br#"{"weight_map": {"a": "../../../evil.safetensors"}}"#;
    room.hub.state().files.insert("model.safetensors.index.json".into(), index.to_vec());
    assert!(room.refused("").contains("../../../evil.safetensors"));
    let index = br#"{"weight_map": {"a": "absent.safetensors"}}"#;
    let room = Room::new();
    room.hub.state().files.insert("model.safetensors.index.json".into(), index.to_vec());
    assert!(room.refused("").contains("absent.safetensors"));
}

#[test]
fn the_token_goes_to_the_hub_alone() {
    let room = Room::new();
    let store = Hub::new(room.hub.state().files.clone());
    room.hub.state().token = Some("hf_secret".into());
    room.hub.state().store = Some(store.endpoint.clone());
    let error = room.refused("");
    assert!(error.contains("no token was sent") && error.contains("HF_TOKEN"), "{error}");
    let error = room.refused_with(&[("HF_TOKEN", "hf_wrong")], "");
    assert!(error.contains("the token that was sent does not open it") && !error.contains("hf_wrong"), "{error}");
    let error = room.refused("--use_auth_token");
    assert!(error.contains("--use_auth_token: no token was found"), "{error}");

    std::fs::write(room.world.path("token"), "hf_secret\n").unwrap();
    let token = room.world.path("token");
    room.loads_with(&[("HF_TOKEN_PATH", token.to_str().unwrap())], "--use_auth_token True");
    assert!(room.hub.seen().iter().any(|seen| seen.token.as_deref() == Some("hf_secret")));
    let stored = store.seen();
    assert!(!stored.is_empty() && stored.iter().all(|seen| seen.token.is_none()), "{stored:?}");
}
