//! Random bases: the same values whatever the layout and the number of threads, and a network that computes.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use glm_data::{Batch, Positions, Variant};
use glm_model::glm::layout;
use glm_model::random_base::RandomBase;
use glm_model::weights::{ElementType, FileFormat, WeightFolder};
use glm_model::{AdapterInputs, DenseType, GlmConfig, LoadOptions, Network, Scheme};
use glm_testkit::fixture;
use std::path::Path;
use tempfile::TempDir;

fn recipe(dtype: DenseType, format: FileFormat, shard_size: u64) -> RandomBase {
    let sizes = vec![
        ("num_layers", 3),
        ("hidden_size", 64),
        ("ffn_hidden_size", 96),
        ("num_attention_heads", 4),
        ("kv_channels", 16),
        ("padded_vocab_size", 2000),
    ];
    RandomBase { variant: Variant::ChatGlm2, sizes, seed: 3, dtype, format, shard_size, tokenizer: None }
}

/// The sizes of a configuration as keys of its `config.json`.
fn sizes(config: &GlmConfig) -> Vec<(&'static str, usize)> {
    let mut sizes = vec![
        ("num_layers", config.num_layers),
        ("hidden_size", config.hidden_size),
        ("num_attention_heads", config.num_attention_heads),
    ];
    match config.variant {
        Variant::ChatGlm => sizes.extend([
            ("inner_hidden_size", config.ffn_hidden_size),
            ("vocab_size", config.vocab_size),
            ("max_sequence_length", config.seq_length),
        ]),
        Variant::ChatGlm2 | Variant::ChatGlm3 => sizes.extend([
            ("ffn_hidden_size", config.ffn_hidden_size),
            ("kv_channels", config.head_dim),
            ("multi_query_group_num", config.kv_groups),
            ("padded_vocab_size", config.vocab_size),
            ("seq_length", config.seq_length),
        ]),
    }
    sizes
}

/// A small base of the first generation.
fn first_generation(dtype: DenseType, format: FileFormat, shard_size: u64) -> RandomBase {
    let mut sizes = recipe(dtype, format, shard_size).sizes;
    sizes.retain(|(key, _)| *key != "kv_channels");
    RandomBase { variant: Variant::ChatGlm, sizes, ..recipe(dtype, format, shard_size) }
}

fn written(base: &RandomBase) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    base.write(folder.path(), &mut |_, _| {}).unwrap();
    folder
}

fn network(folder: &Path, scheme: Scheme) -> Network {
    Network::load(folder, LoadOptions { scheme, ..LoadOptions::default() }, &mut |_, _| {}).unwrap()
}

#[test]
fn values_follow_from_the_seed_alone() {
    let whole = written(&recipe(DenseType::F32, FileFormat::Torch, u64::MAX));
    let expected = WeightFolder::open(whole.path()).unwrap();
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    for (threads, format, shard_size) in [(1, FileFormat::Safetensors, u64::MAX), (3, FileFormat::Torch, 50_000)] {
        let other = pool(threads).install(|| written(&recipe(DenseType::F32, format, shard_size)));
        let other = WeightFolder::open(other.path()).unwrap();
        assert!(expected.names().eq(other.names()));
        for name in expected.names() {
            assert_eq!(expected.get(name).unwrap().data, other.get(name).unwrap().data, "{name}");
        }
    }
    let other = written(&RandomBase { seed: 4, ..recipe(DenseType::F32, FileFormat::Torch, u64::MAX) });
    let other = WeightFolder::open(other.path()).unwrap();
    let name = "transformer.output_layer.weight";
    assert_ne!(expected.get(name).unwrap().data, other.get(name).unwrap().data);
}

#[test]
fn the_files_are_those_of_the_official_layout() {
    for fixed in ["glm1-tiny/model", "glm2-tiny/model", "glm3-tiny/model"] {
        let official = WeightFolder::open(&fixture(fixed)).unwrap();
        let config = GlmConfig::read(&fixture(fixed)).unwrap();
        let base = RandomBase {
            variant: config.variant,
            sizes: sizes(&config),
            ..recipe(DenseType::F16, FileFormat::Torch, 100_000)
        };
        let folder = written(&base);
        let ours = WeightFolder::open(folder.path()).unwrap();
        assert!(official.names().eq(ours.names()), "{:?}", ours.names().collect::<Vec<_>>());
        for name in official.names() {
            let (a, b) = (official.entry(name).unwrap(), ours.entry(name).unwrap());
            assert_eq!(a.shape, b.shape, "{name}");
            // The published shards of the first generation keep the norms in f32; the fixtures went through `.half()`.
            let full = config.variant == Variant::ChatGlm && name.contains("layernorm");
            assert_eq!(b.dtype, if full { ElementType::F32 } else { a.dtype }, "{name}");
        }
        let frequencies = |weights: &WeightFolder| {
            let name = weights.names().find(|name| name.ends_with("inv_freq")).unwrap().to_string();
            weights.get(&name).unwrap().all_f32()
        };
        if config.raw.get("rope_ratio").is_none() {
            assert_eq!(frequencies(&official), frequencies(&ours), "{fixed}");
            let mut ours = GlmConfig::read(folder.path()).unwrap();
            let keys = |config: &GlmConfig| config.raw.keys().cloned().collect::<std::collections::BTreeSet<_>>();
            assert_eq!(keys(&ours), keys(&config));
            ours.raw.clone_from(&config.raw);
            assert_eq!(ours, config);
        }
    }
}

#[test]
fn a_tied_output_layer_is_a_copy_that_may_be_missing_but_not_differ() {
    for (dtype, size) in [(DenseType::F16, 2), (DenseType::F32, 4)] {
        let folder = written(&first_generation(dtype, FileFormat::Safetensors, u64::MAX));
        let weights = WeightFolder::open(folder.path()).unwrap();
        let (embedding, output) = ("transformer.word_embeddings.weight", "lm_head.weight");
        assert_eq!(weights.get(embedding).unwrap().data, weights.get(output).unwrap().data);
        let file = folder.path().join("model.safetensors");
        let bytes = std::fs::read(&file).unwrap();
        let whole = network(folder.path(), Scheme::Dense { dtype: None });
        assert_eq!(whole.bytes() as u64, layout::bytes(whole.config(), whole.scheme(), size));

        // Renaming it in the header makes an unexpected tensor; under the name of an ignored one it is gone.
        let header = |name: &str| format!("\"{name}\"");
        let gone = "transformer.layers.9.attention.rotary_emb.inv_freq";
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let text = std::str::from_utf8(&bytes[8..8 + length]).unwrap().replace(&header(output), &header(gone));
        let missing = [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &bytes[8 + length..]].concat();
        let other = tempfile::tempdir().unwrap();
        std::fs::copy(folder.path().join("config.json"), other.path().join("config.json")).unwrap();
        std::fs::write(other.path().join("model.safetensors"), missing).unwrap();
        let without = network(other.path(), Scheme::Dense { dtype: None });
        assert_eq!(logits(&without), logits(&whole));

        let mut changed = bytes.clone();
        let last = weights.entry(output).unwrap().range.end - 1;
        changed[last] ^= 0x40;
        std::fs::write(other.path().join("model.safetensors"), changed).unwrap();
        let options = LoadOptions::default();
        let error = Network::load(other.path(), options, &mut |_, _| {}).unwrap_err().to_string();
        assert!(error.contains(output) && error.contains(embedding), "{error}");
    }
}

/// Logits of some tokens.
fn logits(network: &Network) -> Vec<f32> {
    let mut batch = Batch::default();
    let positions = match network.config().variant {
        Variant::ChatGlm => Positions::Block { context_len: 2, mask_position: 1 },
        Variant::ChatGlm2 | Variant::ChatGlm3 => Positions::Linear,
    };
    batch.push(&[5, 7, 1999, 0], 0, positions, None, 0);
    let hidden = network.forward(&batch, &AdapterInputs::default()).unwrap();
    network.logits(&hidden).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn moments_are_those_that_were_asked_for() {
    let folder = written(&recipe(DenseType::F32, FileFormat::Torch, u64::MAX));
    let weights = WeightFolder::open(folder.path()).unwrap();
    for (name, mean, spread) in [
        ("transformer.embedding.word_embeddings.weight", 0.0, 0.02),
        ("transformer.encoder.layers.1.mlp.dense_h_to_4h.weight", 0.0, 0.02),
        ("transformer.encoder.layers.1.mlp.dense_4h_to_h.weight", 0.0, 0.02 / 6f64.sqrt()),
        ("transformer.encoder.layers.2.self_attention.dense.weight", 0.0, 0.02 / 6f64.sqrt()),
        ("transformer.encoder.layers.0.input_layernorm.weight", 1.0, 0.05),
    ] {
        let values: Vec<f64> = weights.get(name).unwrap().all_f32().unwrap().into_iter().map(f64::from).collect();
        let n = values.len() as f64;
        let found = values.iter().sum::<f64>() / n;
        let deviation = (values.iter().map(|v| (v - found).powi(2)).sum::<f64>() / n).sqrt();
        // Six standard errors.
        assert!((found - mean).abs() < 6.0 * spread / n.sqrt(), "{name}: mean {found}");
        assert!((deviation / spread - 1.0).abs() < 6.0 / (2.0 * n).sqrt(), "{name}: spread {deviation}");
    }
}

#[test]
fn estimates_of_memory_are_what_loading_takes_and_the_network_computes() {
    for (dtype, stored) in [(DenseType::F16, 2), (DenseType::Bf16, 2), (DenseType::F32, 4)] {
        let safetensors = FileFormat::Safetensors;
        for base in [recipe(dtype, safetensors, 100_000), first_generation(dtype, safetensors, 100_000)] {
            let folder = written(&base);
            for scheme in [
                Scheme::Dense { dtype: None },
                Scheme::Dense { dtype: Some(DenseType::F32) },
                Scheme::Dense { dtype: Some(DenseType::Bf16) },
                Scheme::Int8,
                Scheme::Int4,
                Scheme::Int4Group { group: 32 },
            ] {
                let network = network(folder.path(), scheme);
                assert_eq!(layout::bytes(network.config(), scheme, stored), network.bytes() as u64, "{scheme}");
                assert_eq!(layout::parameter_count(network.config()), network.parameter_count() as u64);
                let exact = logits(&network);
                for output in [Scheme::Int8, Scheme::Int4Group { group: 32 }] {
                    let options = LoadOptions { scheme, output_layer: Some(output), ..LoadOptions::default() };
                    let smaller = Network::load(folder.path(), options, &mut |_, _| {}).unwrap();
                    let config = smaller.config();
                    assert_eq!(smaller.parameter_count(), network.parameter_count());
                    let table = [config.vocab_size, config.hidden_size];
                    let dense = Scheme::Dense { dtype: scheme.dense_type() }.bytes(table, stored);
                    // A matrix that is the embedding too is held a second time.
                    let left = if config.knobs.tied_embeddings { 0 } else { dense };
                    assert_eq!(smaller.bytes() as u64, network.bytes() as u64 - left + output.bytes(table, stored));
                    let error = glm_testkit::relative_error(&logits(&smaller), &exact);
                    assert!(
                        error > 0.0 && error < if output == Scheme::Int8 { 0.02 } else { 0.2 },
                        "{output}: {error}"
                    );
                }
                let logits = logits(&network);
                assert!(logits.iter().all(|v| v.is_finite()) && logits.iter().any(|v| v.abs() > 1e-3), "{scheme}");
            }
        }
    }
}

#[test]
fn sizes_and_vocabularies_that_do_not_fit_are_named() {
    let base = recipe(DenseType::F16, FileFormat::Torch, u64::MAX);
    let error =
        RandomBase { sizes: vec![("num_attention_heads", 3)], ..base.clone() }.config().unwrap_err().to_string();
    assert!(error.contains("num_attention_heads 3"), "{error}");
    let first = RandomBase { variant: Variant::ChatGlm, ..base.clone() };
    let error = first.config().unwrap_err().to_string();
    assert!(error.contains("kv_channels is no size of ChatGLM;"), "{error}");
    let first = first_generation(DenseType::F16, FileFormat::Torch, u64::MAX).config().unwrap();
    let ids = ["mask_token_id", "gmask_token_id", "bos_token_id", "eos_token_id"].map(|key| first.raw[key].as_u64());
    assert_eq!(ids, [Some(1990), Some(1991), Some(1994), Some(1995)]);
    assert_eq!((first.ffn_hidden_size, first.vocab_size), (96, 2000));
    let tokenizer = fixture("tiny-tokenizer/tokenizer.model");
    let folder = tempfile::tempdir().unwrap();
    let mut small = RandomBase { tokenizer: Some(tokenizer.clone()), ..base.clone() };
    small.sizes.push(("padded_vocab_size", 10));
    let error = small.write(folder.path(), &mut |_, _| {}).unwrap_err().to_string();
    assert!(error.contains("padded_vocab_size is only 10"), "{error}");
    let mut large = RandomBase { tokenizer: Some(tokenizer.parent().unwrap().into()), ..base };
    large.sizes.push(("padded_vocab_size", 70_000));
    let folder = written(&large);
    assert_eq!(std::fs::read(folder.path().join("tokenizer.model")).unwrap(), std::fs::read(tokenizer).unwrap());
}
