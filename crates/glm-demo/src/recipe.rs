//! How the demo's base was made: a ChatGLM2 of about three million parameters, trained from nothing on
//! [`corpus::base_rows`]. `glmtune dev demo-base` runs it again.

use crate::corpus;
use crate::vocabulary;
use candle_core::Var;
use glm_data::{DataConfig, Rng, Tokenizer, Variant, read_rows, train_rows};
use glm_model::glm::layout;
use glm_model::ops::with_floats;
use glm_model::{GlmConfig, LoadOptions, Network, Scheme, Trains};
use glm_train::{Adapter, Checkpointing, IntervalStrategy, Observer, Optim, SchedulerType, TrainConfig, Trainer};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Pieces of the vocabulary, before the five special tokens.
const PIECES: usize = 1400;
/// Rows of the embedding: pieces and special tokens, rounded up.
const VOCABULARY: usize = 1408;
const LAYERS: usize = 6;
const HIDDEN: usize = 192;
const FFN: usize = 512;
const HEADS: usize = 6;
const GROUPS: usize = 2;
const HEAD_DIM: usize = 32;
/// Rows of the pre-training text.
const ROWS: usize = 40_000;
const SEED: u64 = 20_240_601;
/// Name of the weight file.
const WEIGHTS: &str = "model.safetensors";

/// Why the base could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The vocabulary.
    #[error(transparent)]
    Vocabulary(#[from] vocabulary::VocabularyError),
    /// The rows.
    #[error(transparent)]
    Data(#[from] glm_data::DataError),
    /// The network.
    #[error(transparent)]
    Model(#[from] glm_model::ModelError),
    /// Training.
    #[error(transparent)]
    Train(#[from] glm_train::TrainError),
    /// Files.
    #[error("{0}")]
    Files(String),
}

impl From<std::io::Error> for RecipeError {
    fn from(error: std::io::Error) -> Self {
        Self::Files(error.to_string())
    }
}

/// The settings of the pre-training run.
fn train_config() -> TrainConfig {
    TrainConfig {
        per_device_train_batch_size: 32,
        learning_rate: 2e-3,
        max_steps: Some(2000),
        lr_scheduler_type: SchedulerType::Cosine,
        warmup_ratio: 0.03,
        optim: Optim::AdamwTorch,
        weight_decay: 0.01,
        adam_beta2: 0.98,
        logging_steps: 50,
        save_strategy: IntervalStrategy::No,
        checkpointing: Checkpointing::Never,
        seed: SEED,
        ..TrainConfig::default()
    }
}

fn config_json() -> serde_json::Value {
    json!({
        "_name_or_path": "glmtune-demo", "model_type": "chatglm", "architectures": ["ChatGLMModel"],
        "add_bias_linear": false, "add_qkv_bias": true, "apply_query_key_layer_scaling": true,
        "apply_residual_connection_post_layernorm": false, "attention_dropout": 0.0,
        "attention_softmax_in_fp32": true, "bias_dropout_fusion": true, "ffn_hidden_size": FFN,
        "fp32_residual_connection": false, "hidden_dropout": 0.0, "hidden_size": HIDDEN, "kv_channels": HEAD_DIM,
        "layernorm_epsilon": 1e-5, "multi_query_attention": true, "multi_query_group_num": GROUPS,
        "num_attention_heads": HEADS, "num_layers": LAYERS, "original_rope": true, "padded_vocab_size": VOCABULARY,
        "post_layer_norm": true, "rmsnorm": true, "seq_length": 512, "use_cache": true, "torch_dtype": "float16",
        "tie_word_embeddings": false, "eos_token_id": 2, "pad_token_id": 0,
    })
}

/// Makes the base in folder `out`: text, vocabulary, random weights, training, half-precision files.
///
/// # Errors
/// When `out` cannot be written or training fails.
pub fn make_base(out: &Path, stop: &AtomicBool, observer: &mut dyn Observer) -> Result<(), RecipeError> {
    std::fs::create_dir_all(out)?;
    let rows = corpus::base_rows(ROWS, SEED);
    let tokenizer_file = out.join("tokenizer.model");
    std::fs::write(&tokenizer_file, vocabulary::train(&vocabulary::texts_of(&rows), PIECES)?)?;
    let config = config_json();
    std::fs::write(out.join("config.json"), format!("{config:#}\n"))?;

    let work = out.join("work");
    std::fs::create_dir_all(&work)?;
    let data_file = work.join("base.jsonl");
    let lines: Vec<String> = rows.iter().map(|row| json!(row).to_string()).collect();
    std::fs::write(&data_file, lines.join("\n"))?;
    let tokenizer = Tokenizer::from_file(&tokenizer_file, Variant::ChatGlm2)?;
    let columns = DataConfig {
        prompt_column: Some("prompt".into()),
        response_column: Some("response".into()),
        history_column: Some("history".into()),
        max_source_length: 192,
        max_target_length: 96,
        ..DataConfig::default()
    };
    let (train, _) = train_rows(&read_rows(&data_file, false)?, &tokenizer, &columns)?;

    let shapes = GlmConfig::from_raw(config.as_object().cloned().unwrap_or_default()).map_err(RecipeError::Files)?;
    let initial = initial_tensors(&shapes);
    let names: Vec<(String, Vec<usize>)> =
        initial.iter().map(|(name, shape, _)| (name.clone(), shape.clone())).collect();
    write(&out.join(WEIGHTS), &initial)?;
    let options = LoadOptions { scheme: Scheme::Dense { dtype: None }, trains: Trains::All, ..LoadOptions::default() };
    let network = Network::load(out, options, &mut |_, _| {})?;
    let save = |_: &Path| Ok(());
    let trainer = Trainer {
        network: &network,
        adapter: &Adapter::Full,
        config: &train_config(),
        rows: &train,
        eval_rows: &[],
        output_dir: &work,
        tensorboard: None,
        save_adapter: &save,
    };
    let outcome = trainer.run(None, stop, observer)?;
    if outcome.interrupted {
        return Err(RecipeError::Files("stopped before the end; the base is not finished".into()));
    }
    let trained = halves(&names, network.parameters())?;
    write(&out.join(WEIGHTS), &trained)?;
    Ok(std::fs::remove_dir_all(&work)?)
}

type Stored = (String, Vec<usize>, Vec<u8>);

/// Normal(0, 0.02) weights, those that write into the residual stream smaller by √(2 · layers) (Radford et al. 2019),
/// norms 1 and biases 0.
fn initial_tensors(config: &GlmConfig) -> Vec<Stored> {
    let mut rng = Rng::new(SEED);
    // Sorted, so that the draws do not depend on the order in which tensors are listed.
    BTreeMap::from_iter(layout::tensors(config))
        .into_iter()
        .map(|(name, shape)| {
            let residual = name.ends_with("dense.weight") || name.ends_with("dense_4h_to_h.weight");
            let scale = if residual { 0.02 / ((2 * LAYERS) as f32).sqrt() } else { 0.02 };
            let count: usize = shape.iter().product();
            let value = |rng: &mut Rng| match () {
                () if name.ends_with("layernorm.weight") => 1.0,
                () if name.ends_with("bias") => 0.0,
                () => scale * rng.normal(),
            };
            let bytes = (0..count).flat_map(|_| value(&mut rng).to_le_bytes()).collect();
            (name, shape, bytes)
        })
        .collect()
}

/// The trained values, rounded to half precision as the published models are.
fn halves(names: &[(String, Vec<usize>)], parameters: &[(String, Var)]) -> Result<Vec<Stored>, RecipeError> {
    let find = |name: &str| parameters.iter().find(|(n, _)| n == name);
    names
        .iter()
        .map(|(name, shape)| {
            let (_, var) = find(name).ok_or_else(|| RecipeError::Files(format!("{name} did not train")))?;
            let bytes = with_floats(var.as_tensor(), |values| {
                values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect()
            });
            Ok((name.clone(), shape.clone(), bytes.map_err(glm_model::ModelError::from)?))
        })
        .collect()
}

fn write(path: &Path, tensors: &[Stored]) -> Result<(), RecipeError> {
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let elements: usize = shape.iter().product();
        let dtype = if bytes.len() == elements * 2 { Dtype::F16 } else { Dtype::F32 };
        Ok((name.as_str(), TensorView::new(dtype, shape.clone(), bytes)?))
    });
    let bytes = views
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .and_then(|views| safetensors::serialize(views, None))
        .map_err(|e| RecipeError::Files(e.to_string()))?;
    Ok(std::fs::write(path, bytes)?)
}
