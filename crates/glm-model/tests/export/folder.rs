use super::support::{Changed, assert_same_bytes, base_with_files, names, quiet, some_matrix, source};
use candle_core::Tensor;
use glm_model::export::{FolderOptions, FolderSource, Parameters, TensorSource, export_folder};
use glm_model::variant::Names;
use glm_model::weights::{ElementType, FileFormat, WeightFolder};
use glm_model::{DenseType, GlmConfig, LoadOptions, Network, Scheme, Trains};
use glm_testkit::fixture;
use serde_json::json;
use std::path::Path;

#[test]
fn an_unchanged_base_comes_back_byte_for_byte_from_every_kind_of_file() {
    let formats = [FileFormat::Torch, FileFormat::Safetensors].map(|format| (format, u64::MAX));
    let sharded = formats.map(|(format, _)| (format, 40_000));
    for model in ["glm1-tiny/model", "glm2-tiny/model", "glm3-tiny/model"] {
        let source = source(model);
        for (format, shard_size) in formats.into_iter().chain(sharded) {
            let room = tempfile::tempdir().unwrap();
            let target = room.path().join("deep/out");
            let options = FolderOptions { dtype: None, format, shard_size };
            let (mut seen, mut last) = (0, 0);
            let mut progress = |done: u64, total: u64| {
                assert!(done >= last && done <= total);
                (seen, last) = (total, done);
            };
            let report = export_folder(&source, &fixture("glm2-tiny/model"), &target, options, &mut progress).unwrap();
            assert_eq!((seen, last), (2 * report.bytes, 2 * report.bytes));
            assert_same_bytes(&target, &fixture(model));
            assert_eq!(WeightFolder::open(&target).unwrap().files().count() > 1, shard_size < u64::MAX);
            assert_eq!(names(target.parent().unwrap()), ["out"], "something was left beside it");
        }
    }
}

#[test]
fn floats_are_rounded_once_and_the_configuration_says_how() {
    let source = source("glm2-tiny/model");
    for (dtype, stored, name) in [
        (DenseType::F32, ElementType::F32, "float32"),
        (DenseType::Bf16, ElementType::BF16, "bfloat16"),
        (DenseType::F16, ElementType::F16, "float16"),
    ] {
        let room = tempfile::tempdir().unwrap();
        let target = room.path().join("out");
        let options = FolderOptions { dtype: Some(dtype), ..FolderOptions::default() };
        export_folder(&source, &fixture("glm2-tiny/model"), &target, options, &mut quiet).unwrap();
        let config = GlmConfig::read(&target).unwrap();
        assert_eq!(config.raw["torch_dtype"], json!(name));
        let weights = WeightFolder::open(&target).unwrap();
        assert!(weights.names().all(|name| weights.entry(name).unwrap().dtype == stored));
        Network::load(&target, LoadOptions::default(), &mut |_, _| {}).unwrap();
    }
}

#[test]
fn a_quantized_base_becomes_floats() {
    let source = source("glm2-tiny/quant-int4");
    let room = tempfile::tempdir().unwrap();
    let target = room.path().join("out");
    let options = FolderOptions { dtype: Some(DenseType::F32), ..FolderOptions::default() };
    export_folder(&source, &fixture("glm2-tiny/quant-int4"), &target, options, &mut quiet).unwrap();
    let config = GlmConfig::read(&target).unwrap();
    assert_eq!(config.quantization_bit, None);
    let dense = WeightFolder::open(&target).unwrap();
    let packed = source.packed(&some_matrix(&config)).unwrap().to_f32().unwrap();
    assert_eq!(dense.get(&some_matrix(&config)).unwrap().all_f32().unwrap(), packed);
}

#[test]
fn tokenizer_and_model_code_go_with_the_weights_and_a_stale_prefix_setting_does_not() {
    let room = tempfile::tempdir().unwrap();
    let base = base_with_files(room.path());
    let mut config = GlmConfig::read(&base).unwrap();
    config.raw.insert("pre_seq_len".into(), json!(128));
    let base_source = FolderSource::new(config.clone(), WeightFolder::open(&base).unwrap()).unwrap();
    let target = room.path().join("out");
    let report = export_folder(&base_source, &base, &target, FolderOptions::default(), &mut quiet).unwrap();
    assert_eq!(report.copied, ["modeling_chatglm.py", "quantization.py", "tokenizer.model", "tokenizer_config.json"]);
    assert!(report.remarks.is_empty(), "{:?}", report.remarks);
    assert!(!GlmConfig::read(&target).unwrap().raw.contains_key("pre_seq_len"));
    let bare = tempfile::tempdir().unwrap();
    let report =
        export_folder(&base_source, bare.path(), &bare.path().join("out"), FolderOptions::default(), &mut quiet)
            .unwrap();
    assert!(report.remarks.iter().any(|remark| remark.contains("tokenizer.model")), "{:?}", report.remarks);
}

#[test]
fn trained_parameters_are_exported_and_the_rest_comes_from_the_base() {
    for model in ["glm1-tiny/model", "glm2-tiny/model"] {
        check_parameters(&fixture(model));
    }
}

fn check_parameters(path: &Path) {
    let options = LoadOptions { scheme: Scheme::Dense { dtype: None }, trains: Trains::All, ..LoadOptions::default() };
    let network = Network::load(path, options, &mut |_, _| {}).unwrap();
    let trained = network.parameters();
    for (_, var) in trained {
        var.set(&var.as_tensor().affine(1.0, 0.125).unwrap()).unwrap();
    }
    let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let room = tempfile::tempdir().unwrap();
    let all = Parameters::new(network.config(), trained, None);
    export_folder(&all, path, &room.path().join("all"), FolderOptions::default(), &mut quiet).unwrap();
    let weights = WeightFolder::open(&room.path().join("all")).unwrap();
    for (name, var) in trained {
        assert_eq!(weights.get(name).unwrap().all_f32().unwrap(), values(var.as_tensor()), "{name}");
    }
    // Where the output layer is a copy of the embedding, the copy must be the trained one.
    let names = Names::of(network.config().variant);
    if network.config().knobs.tied_embeddings {
        let table = |name: &str| weights.get(name).unwrap().all_f32().unwrap();
        assert_eq!(table(names.output), table(names.embedding));
    }
    let base = FolderSource::open(path).unwrap();
    let (some, others) = trained.split_at(trained.len() / 2);
    let half = Parameters::new(network.config(), some, Some(&base));
    let options = FolderOptions { dtype: Some(DenseType::F32), ..FolderOptions::default() };
    export_folder(&half, path, &room.path().join("half"), options, &mut quiet).unwrap();
    let weights = WeightFolder::open(&room.path().join("half")).unwrap();
    for (name, var) in some {
        assert_eq!(weights.get(name).unwrap().all_f32().unwrap(), values(var.as_tensor()), "{name}");
    }
    for (name, _) in others {
        let kept = base.weights().get(name).unwrap().all_f32().unwrap();
        assert_eq!(weights.get(name).unwrap().all_f32().unwrap(), kept, "{name}");
    }
    let missing = Parameters::new(network.config(), some, None);
    let error = export_folder(&missing, path, &room.path().join("no"), options, &mut quiet).unwrap_err().to_string();
    assert!(error.contains("did not train, and no base was given"), "{error}");
}

#[test]
fn values_that_no_file_should_hold_and_places_that_are_taken_are_refused() {
    let base = source("glm2-tiny/model");
    let path = fixture("glm2-tiny/model");
    let room = tempfile::tempdir().unwrap();
    for (value, dtype, expected) in
        [(1e6, DenseType::F16, "half precision ends at 65504"), (f32::NAN, DenseType::F32, "is NaN as f32")]
    {
        let config = base.config().clone();
        let source = Changed { base: &base, name: some_matrix(&config), config, value };
        let options = FolderOptions { dtype: Some(dtype), ..FolderOptions::default() };
        let target = room.path().join("out");
        let error = export_folder(&source, &path, &target, options, &mut quiet).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(&source.name), "{error}");
        assert!(names(room.path()).is_empty(), "{:?} was left", names(room.path()));
    }
    std::fs::create_dir(room.path().join("empty")).unwrap();
    export_folder(&base, &path, &room.path().join("empty"), FolderOptions::default(), &mut quiet).unwrap();
    let error = export_folder(&base, &path, &room.path().join("empty"), FolderOptions::default(), &mut quiet);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("never replaces anything"), "{error}");
}
