use super::support::{Changed, base_with_files, names, quiet, some_matrix, source};
use candle_core::quantized::gguf_file::{Content, Value};
use glm_data::{Tokenizer, Variant};
use glm_model::GlmConfig;
use glm_model::export::{FolderSource, GgufOptions, GgufType, TensorSource, export_gguf};
use glm_model::variant::Rotary;
use glm_testkit::fixture;
use std::fs::File;
use std::path::Path;

fn options(kind: GgufType) -> GgufOptions {
    GgufOptions { kind, name: Some("a name".into()) }
}

fn content(path: &Path) -> Content {
    Content::read(&mut File::open(path).unwrap()).unwrap()
}

#[test]
fn keys_and_tensors_are_those_of_a_chatglm_model() {
    let room = tempfile::tempdir().unwrap();
    let base = base_with_files(room.path());
    let source = FolderSource::open(&base).unwrap();
    let (config, tokenizer) = (source.config(), base.join("tokenizer.model"));
    let tokenizer = Tokenizer::from_file(&tokenizer, Variant::ChatGlm2).unwrap();
    for kind in [GgufType::F16, GgufType::Q8_0, GgufType::Q4_0] {
        let path = room.path().join(format!("{kind}.gguf"));
        let report = export_gguf(&source, &base, &path, &options(kind), &mut quiet).unwrap();
        let content = content(&path);
        let number = |key: &str| content.metadata[key].to_u32().unwrap() as usize;
        assert_eq!(number("chatglm.block_count"), config.num_layers);
        assert_eq!(number("chatglm.attention.head_count_kv"), config.kv_groups);
        assert_eq!(number("chatglm.rope.dimension_count"), config.head_dim / 2);
        let Rotary::HalfOfHead { base } = config.knobs.rotary else { panic!("{:?}", config.knobs.rotary) };
        assert_eq!(content.metadata["chatglm.rope.freq_base"].to_f32().unwrap(), base);
        assert_eq!(content.metadata["general.name"].to_string().unwrap(), "a name");
        let tokens = content.metadata["tokenizer.ggml.tokens"].to_vec().unwrap();
        let types = content.metadata["tokenizer.ggml.token_type"].to_vec().unwrap();
        assert_eq!((tokens.len(), types.len()), (config.vocab_size, config.vocab_size));
        let text = |id: u32| tokens[id as usize].to_string().unwrap().as_str();
        let kind_of = |id: u32| types[id as usize].to_i32().unwrap();
        assert_eq!((text(tokenizer.gmask_id()), kind_of(tokenizer.gmask_id())), ("[gMASK]", 3));
        assert_eq!((text(tokenizer.sop_id()), kind_of(tokenizer.sop_id())), ("sop", 3));
        assert_eq!(number("tokenizer.ggml.eos_token_id"), tokenizer.eos_id() as usize);
        let last = config.vocab_size as u32 - 1;
        assert_eq!((text(last), kind_of(last)), (format!("[PAD{last}]").as_str(), 5));
        assert_eq!(
            content.tensor_infos["blk.0.ffn_up.weight"].shape.dims(),
            [2 * config.ffn_hidden_size, config.hidden_size]
        );
        assert_eq!(content.tensor_infos.len(), report.tensors);
        assert_eq!(content.metadata.contains_key("general.quantization_version"), kind != GgufType::F16);
    }
    assert_eq!(names(room.path()), ["base", "f16.gguf", "q4_0.gguf", "q8_0.gguf"]);
}

#[test]
fn chatglm3_has_its_roles_and_the_template_of_the_folder_wins() {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path().join("base");
    std::fs::create_dir(&folder).unwrap();
    let vocabulary = fixture("tiny-tokenizer/tokenizer.model");
    let tokenizer = Tokenizer::from_file(&vocabulary, Variant::ChatGlm2).unwrap();
    glm_testkit::write_random_base(&folder, tokenizer.vocab_size() + 8, 3);
    std::fs::copy(vocabulary, folder.join("tokenizer.model")).unwrap();
    let base = FolderSource::open(&folder).unwrap();
    let config = GlmConfig { variant: Variant::ChatGlm3, ..base.config().clone() };
    let three = Changed { base: &base, name: String::new(), config, value: 0.0 };
    let template = |path: &Path| match &content(path).metadata["tokenizer.chat_template"] {
        Value::String(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    let own = room.path().join("own.gguf");
    export_gguf(&three, &folder, &own, &options(GgufType::F16), &mut quiet).unwrap();
    assert!(template(&own).contains("<|assistant|>"));
    let user = content(&own).metadata["tokenizer.ggml.eot_token_id"].to_u32().unwrap();
    let tokens = content(&own).metadata["tokenizer.ggml.tokens"].to_vec().unwrap().clone();
    assert_eq!(tokens[user as usize].to_string().unwrap(), "<|user|>");
    assert_eq!(user, tokenizer.eop_id() + 2);
    std::fs::write(folder.join("tokenizer_config.json"), r#"{"chat_template": "{{ messages }}"}"#).unwrap();
    let theirs = room.path().join("theirs.gguf");
    export_gguf(&three, &folder, &theirs, &options(GgufType::F16), &mut quiet).unwrap();
    assert_eq!(template(&theirs), "{{ messages }}");
}

#[test]
fn rows_that_are_no_whole_blocks_stay_half_precision() {
    let room = tempfile::tempdir().unwrap();
    let folder = base_with_files(room.path());
    let base = FolderSource::open(&folder).unwrap();
    let narrow = source("glm3-tiny/model");
    if narrow.config().hidden_size.is_multiple_of(32) {
        eprintln!("skipped: the rows of this glm3-tiny are whole blocks");
        return;
    }
    let vocabulary = Tokenizer::from_file(&folder.join("tokenizer.model"), Variant::ChatGlm2).unwrap();
    let rows = narrow.config().vocab_size;
    let target = room.path().join("out.gguf");
    let result = export_gguf(&narrow, &folder, &target, &options(GgufType::Q4_0), &mut quiet);
    // The small vocabulary may be larger than the embedding of the fixture: then that is what is refused.
    if vocabulary.vocab_size() > rows {
        assert!(result.unwrap_err().to_string().contains(&format!("the embedding has only {rows} rows")));
    } else {
        let report = result.unwrap();
        assert!(report.remarks[0].contains("kept as f16"), "{:?}", report.remarks);
    }
    assert!(base.config().hidden_size.is_multiple_of(32));
}

#[test]
fn models_that_llama_cpp_cannot_run_are_refused_by_name() {
    let room = tempfile::tempdir().unwrap();
    let folder = base_with_files(room.path());
    let base = FolderSource::open(&folder).unwrap();
    let config = || base.config().clone();
    let heads = GlmConfig { num_attention_heads: config().num_attention_heads * 2, ..config() };
    let first = source("glm1-tiny/model");
    let target = room.path().join("no.gguf");
    let error = export_gguf(&first, &folder, &target, &options(GgufType::F16), &mut quiet).unwrap_err().to_string();
    assert!(error.contains("llama.cpp does not support"), "{error}");
    for (config, expected) in [
        (GlmConfig { variant: Variant::ChatGlm, ..config() }, "ChatGLM-6B (first generation)"),
        (GlmConfig { linear_bias: true, ..config() }, "add_bias_linear"),
        (heads, "not as wide as the model"),
    ] {
        let source = Changed { base: &base, name: String::new(), config, value: 0.0 };
        let target = room.path().join("no.gguf");
        let error =
            export_gguf(&source, &folder, &target, &options(GgufType::F16), &mut quiet).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for (value, kind) in [(1e6, GgufType::F16), (f32::NAN, GgufType::Q8_0), (1e6, GgufType::Q4_0)] {
        let source = Changed { base: &base, name: some_matrix(base.config()), config: config(), value };
        let target = room.path().join("no.gguf");
        let error = export_gguf(&source, &folder, &target, &options(kind), &mut quiet).unwrap_err().to_string();
        assert!(error.contains(&source.name) && error.contains("too large for its type"), "{error}");
    }
    std::fs::write(room.path().join("taken.gguf"), "mine").unwrap();
    let taken = export_gguf(&base, &folder, &room.path().join("taken.gguf"), &options(GgufType::F16), &mut quiet);
    assert!(taken.unwrap_err().to_string().contains("never replaces anything"));
    assert_eq!(names(room.path()), ["base", "taken.gguf"], "something was left");
}

#[test]
fn a_base_without_a_vocabulary_is_refused_with_what_it_is_for() {
    let room = tempfile::tempdir().unwrap();
    let base = base_with_files(room.path());
    std::fs::remove_file(base.join("tokenizer.model")).unwrap();
    let source = FolderSource::open(&base).unwrap();
    let target = room.path().join("out.gguf");
    let error = export_gguf(&source, &base, &target, &options(GgufType::F16), &mut quiet).unwrap_err().to_string();
    for part in ["base/tokenizer.model", "there is no such file", "llama.cpp reads", "copy it there"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
    assert_eq!(names(room.path()), ["base"]);
}
