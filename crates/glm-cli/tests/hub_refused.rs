//! Bases by name that cannot be had: no network, no such model, hostile servers. And the cache that Python has filled.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

#[path = "support/hub.rs"]
mod hub_server;
#[path = "support/hub_room.rs"]
mod room;
mod support;

use hub_server::{COMMIT, sha256};
use room::{Room, WEIGHTS};

/// Nobody listens there.
const NOWHERE: (&str, &str) = ("HF_ENDPOINT", "http://127.0.0.1:9");

#[test]
fn what_python_has_downloaded_is_used_without_a_network() {
    let room = Room::new();
    let cache = room.world.path("elsewhere");
    let repo = cache.join("models--THUDM--tiny");
    let snapshot = repo.join("snapshots").join(COMMIT);
    for folder in [repo.join("blobs"), repo.join("refs"), snapshot.clone()] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::write(repo.join("refs/main"), COMMIT).unwrap();
    for (name, bytes) in &room.hub.state().files {
        let blob = sha256(bytes);
        std::fs::write(repo.join("blobs").join(&blob), bytes).unwrap();
        std::os::unix::fs::symlink(format!("../../blobs/{blob}"), snapshot.join(name)).unwrap();
    }
    for (variables, flags) in [
        (vec![NOWHERE], "--cache_dir elsewhere"),
        (vec![NOWHERE, ("HF_HUB_OFFLINE", "1")], "--cache_dir elsewhere"),
        (vec![NOWHERE, ("HF_HUB_CACHE", cache.to_str().unwrap())], "--offline"),
    ] {
        let text = room.loads_with(&variables, flags);
        assert!(text.contains(COMMIT), "{text}");
    }
    assert!(room.hub.seen().is_empty());

    // A link whose content was cleared away is not taken for the file; the rest is not fetched again.
    std::fs::remove_file(repo.join("blobs").join(sha256(&room.hub.state().files[WEIGHTS]))).unwrap();
    let error = room.refused("--cache_dir elsewhere --offline");
    assert!(error.contains("it lacks the weights") && error.contains("--offline"), "{error}");
    room.loads("--cache_dir elsewhere");
    assert_eq!(room.hub.sent(), [WEIGHTS, WEIGHTS], "at the hub, and at the store that it redirects to");
}

#[test]
fn without_a_network_it_says_what_is_missing() {
    let room = Room::new();
    for (variables, flags, parts) in [
        (vec![NOWHERE, ("HF_HUB_OFFLINE", "1")], "", ["a finished download of main", "HF_HUB_OFFLINE"]),
        (vec![NOWHERE, ("TRANSFORMERS_OFFLINE", "true")], "", ["a finished download of main", "HF_HUB_OFFLINE"]),
        (vec![NOWHERE], "--offline", ["models--THUDM--tiny", "--offline"]),
        (vec![NOWHERE], "", ["cannot be reached", "HF_ENDPOINT=https://hf-mirror.com"]),
        (vec![("HF_ENDPOINT", "ftp://x")], "", ["HF_ENDPOINT ftp://x", "https://"]),
        (vec![("HF_TOKEN", "hf_a b")], "", ["HF_TOKEN", "characters that no token has"]),
    ] {
        let error = room.refused_with(&variables, flags);
        for part in parts {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    }
    assert!(room.hub.seen().is_empty());
}

#[test]
fn a_server_that_refuses_is_explained() {
    let room = Room::new();
    for (status, code, parts) in [
        (401, "RepoNotFound", vec!["there is no such folder here", "status 401", "HF_TOKEN", "Check the name"]),
        (401, "GatedRepo", vec!["does not let everybody have", "accept its terms", "HF_TOKEN"]),
        (403, "GatedRepo", vec!["status 403", "accept its terms"]),
        (404, "RepoNotFound", vec!["there is no such folder here", "has no model THUDM/tiny", "status 404"]),
        (404, "", vec!["has no model THUDM/tiny"]),
        (503, "", vec!["status 503", "Try again later", "HF_ENDPOINT=https://hf-mirror.com"]),
        (429, "", vec!["status 429", "Try again later"]),
        (418, "", vec!["status 418"]),
        (304, "", vec!["status 304"]),
    ] {
        room.hub.state().refuse = Some((status, code));
        let error = room.refused("");
        for part in parts.into_iter().chain([room.hub.endpoint.as_str()]) {
            assert!(error.contains(part), "{status} {code}: {part} is not in {error}");
        }
    }
    room.hub.state().refuse = None;
    let error = room.refused("--model_revision v9");
    assert!(error.contains("check --model_revision"), "{error}");
    assert!(room.refused("--model_revision ../x").contains("--model_revision: expected a branch"));
}

#[test]
fn hostile_answers_are_refused() {
    let room = Room::new();
    let list = |files: serde_json::Value| serde_json::json!({"sha": COMMIT, "siblings": files}).to_string();
    let named = |name: &str| list(serde_json::json!([{"rfilename": "config.json"}, {"rfilename": name}]));
    for (listing, part) in [
        (named("../../../home/.ssh/authorized_keys"), "leads out of the model's folder"),
        (named("/etc/passwd"), "leads out of the model's folder"),
        (named("a/../../b.py"), "leads out of the model's folder"),
        (named("a\\..\\b.py"), "leads out of the model's folder"),
        (named("a\u{1b}[2Jb.py"), "leads out of the model's folder"),
        (serde_json::json!({"sha": "../../x", "siblings": []}).to_string(), "is no commit"),
        (serde_json::json!({"sha": 3, "siblings": []}).to_string(), "no list of files"),
        (list(serde_json::json!({"a": 1})), "no list of files"),
        (list(serde_json::json!([{"rfilename": null}])), "no list of files"),
        (list(serde_json::json!([])), "no weights that can be read"),
        (String::new(), "no list of files"),
        ("[".repeat(100_000), "no list of files"),
        ("<html>please log in</html>".into(), "no list of files"),
        ("null".into(), "no list of files"),
    ] {
        room.hub.state().listing = Some(listing.clone());
        let error = room.refused("");
        assert!(error.contains(part), "{:.80}: {error}", listing);
        assert!(!error.contains('\u{1b}'), "{error:?}");
    }
    room.hub.state().listing = None;
    for (header, value, part) in [
        ("x-linked-etag", "\"../../../evil\"", "cannot name a file"),
        ("x-linked-etag", "\"\"", "cannot name a file"),
        ("location", "file:///etc/passwd", "redirects to"),
        ("location", "", "redirects to"),
        ("x-repo-commit", "another", "the server gives commit another"),
    ] {
        room.hub.state().headers = vec![(header, value.into())];
        let error = room.refused("");
        assert!(error.contains(part), "{header}: {value}: {error}");
    }
    room.hub.state().headers = vec![("location", format!("/THUDM/tiny/resolve/{COMMIT}/{WEIGHTS}"))];
    assert!(room.refused("").contains("redirects in a row"));
    assert!(!room.world.path("evil").exists() && !room.repo().join("refs/main").exists());
}

#[test]
fn a_folder_is_always_the_folder_and_a_path_never_a_name() {
    let room = Room::new();
    std::fs::create_dir(room.world.path("THUDM")).unwrap();
    std::fs::rename(room.world.path("base"), room.world.path("THUDM/tiny")).unwrap();
    room.loads("");
    for path in ["./THUDM/absent", "absent", "THUDM/tiny/absent", "/THUDM/absent", "../THUDM/absent"] {
        let output = room.chat(&[], &format!("--model_name_or_path {path}"));
        let error = support::text(&output);
        assert_eq!(output.status.code(), Some(2), "{error}");
        let parts = [format!("--model_name_or_path {path}: there is no such folder"), "owner/name".into()];
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    assert!(room.hub.seen().is_empty());
}
