use super::support::{base_with_files, names};
use glm_data::{Rng, Tokenizer, Variant};
use glm_model::GlmConfig;
use glm_model::adapter::{PrefixConfig, PrefixEncoder, PrefixFile};
use glm_model::export::{BUNDLE_FORMAT, Bundle, collapse, export_bundle, export_prefix};
use glm_testkit::fixture;
use serde_json::json;
use std::collections::BTreeMap;

fn bits(prefix: &PrefixEncoder) -> Vec<u32> {
    let values = prefix.key_values().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

fn metadata() -> BTreeMap<String, String> {
    let pairs =
        [("base_fingerprint", "0123"), ("template", "chatglm2"), ("prefix_projection", "true"), ("turns", "single")];
    pairs.into_iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

#[test]
fn the_trained_prefixes_of_the_official_script_collapse_exactly() {
    for (variant, case) in
        [("glm1", "noproj"), ("glm1", "proj"), ("glm2", "noproj"), ("glm2", "proj"), ("glm3", "noproj")]
    {
        let base = GlmConfig::read(&fixture(&format!("{variant}-tiny/model"))).unwrap();
        let folder = fixture(&format!("{variant}-tiny/ptuning-{case}-checkpoint"));
        let prefix = PrefixFile::open(&folder).unwrap().load(&base, None, None).unwrap();
        let room = tempfile::tempdir().unwrap();
        let target = room.path().join("out");
        export_prefix(&base, &prefix, &metadata(), &folder, &target).unwrap();
        let file = PrefixFile::open(&target.join("pytorch_model.bin")).unwrap();
        assert!(!file.prefix_projection());
        assert_eq!(bits(&file.load(&base, None, Some(false)).unwrap()), bits(&prefix));
        let raw = GlmConfig::read(&target).unwrap().raw;
        assert_eq!(raw["pre_seq_len"], json!(prefix.config().pre_seq_len));
        assert_eq!(raw["prefix_projection"], json!(false));
        assert_eq!(PrefixFile::open(&target).unwrap().metadata().unwrap()["prefix_projection"], "false");
    }
}

#[test]
fn a_bundle_holds_all_but_the_base() {
    let room = tempfile::tempdir().unwrap();
    let folder = base_with_files(room.path());
    let base = GlmConfig::read(&folder).unwrap();
    let prefix = PrefixEncoder::new(PrefixConfig::new(&base, 5, true), &mut Rng::new(3)).unwrap();
    let target = room.path().join("task.safetensors");
    let tokenizer = folder.join("tokenizer.model");
    export_bundle(&base, &prefix, &metadata(), &folder, &target).unwrap();
    let bundle = Bundle::open(&target).unwrap();
    assert_eq!(bits(&bundle.prefix(&base).unwrap()), bits(&prefix));
    assert_eq!(bits(&collapse(&prefix).unwrap()), bits(&prefix));
    assert_eq!(bundle.metadata()["format"], BUNDLE_FORMAT);
    assert_eq!(bundle.metadata()["template"], "chatglm2");
    assert_eq!(bundle.base(), &base);
    let text = "类型#上衣";
    let own = Tokenizer::from_file(&tokenizer, Variant::ChatGlm2).unwrap();
    assert_eq!(bundle.tokenizer().unwrap().encode(text), own.encode(text));
    assert_eq!(bundle.same_base("0123"), Ok(()));
    assert!(bundle.same_base("4567").unwrap_err().contains("trained on the base 0123"));
    let third = GlmConfig { variant: Variant::ChatGlm3, ..base.clone() };
    export_bundle(&third, &prefix, &metadata(), &folder, &room.path().join("third.safetensors")).unwrap();
    assert_eq!(Bundle::open(&room.path().join("third.safetensors")).unwrap().base(), &third);
    let larger = GlmConfig { num_layers: base.num_layers + 1, ..base.clone() };
    assert!(bundle.prefix(&larger).unwrap_err().to_string().contains("trained on another base"));
    // Whatever reads prefix files reads a bundle.
    assert_eq!(bits(&PrefixFile::open(&target).unwrap().load(&base, None, None).unwrap()), bits(&prefix));
    assert_eq!(names(room.path()), ["base", "task.safetensors", "third.safetensors"]);
}

#[test]
fn broken_prefixes_and_files_that_are_no_bundles_are_refused() {
    let room = tempfile::tempdir().unwrap();
    let folder = base_with_files(room.path());
    let base = GlmConfig::read(&folder).unwrap();
    let config = PrefixConfig::new(&base, 2, false);
    let broken = PrefixEncoder::from_values(config, |_, n| vec![f32::NAN; n]).unwrap();
    let target = room.path().join("out");
    let error = export_prefix(&base, &broken, &metadata(), &folder, &target).unwrap_err().to_string();
    assert!(error.contains("NaN at element 0"), "{error}");
    let whole = PrefixEncoder::new(config, &mut Rng::new(1)).unwrap();
    let error = export_bundle(&base, &whole, &BTreeMap::new(), &folder, &target).unwrap_err().to_string();
    assert!(error.contains("base_fingerprint"), "{error}");
    assert_eq!(names(room.path()), ["base"]);
    for (path, expected) in [
        (folder.join("model.safetensors"), "it is no bundle"),
        (folder.join("tokenizer.model"), "safetensors"),
        (folder.join("absent"), "absent"),
    ] {
        let error = Bundle::open(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    export_bundle(&base, &whole, &metadata(), &folder, &target).unwrap();
    let bytes = std::fs::read(&target).unwrap();
    for length in (0..bytes.len()).step_by(bytes.len() / 40) {
        std::fs::write(room.path().join("cut"), &bytes[..length]).unwrap();
        assert!(Bundle::open(&room.path().join("cut")).is_err(), "{length} bytes were accepted");
    }
}

#[test]
fn a_bundle_without_a_vocabulary_is_refused_with_what_it_is_for() {
    let room = tempfile::tempdir().unwrap();
    let folder = base_with_files(room.path());
    std::fs::remove_file(folder.join("tokenizer.model")).unwrap();
    let base = GlmConfig::read(&folder).unwrap();
    let prefix = PrefixEncoder::new(PrefixConfig::new(&base, 2, false), &mut Rng::new(1)).unwrap();
    let target = room.path().join("out");
    let error = export_bundle(&base, &prefix, &metadata(), &folder, &target).unwrap_err().to_string();
    for part in ["base/tokenizer.model", "there is no such file", "a bundle carries", "copy it there"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
    assert_eq!(names(room.path()), ["base"]);
}
