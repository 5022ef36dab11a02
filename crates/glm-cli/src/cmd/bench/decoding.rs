//! Reading a prompt, and answering token by token, alone and eight at a time.

use std::time::Instant;

use glm_infer::{Engine, GenerationConfig, Request, SpecialIds};
use glm_model::adapter::AdapterSlots;
use glm_model::glm::layout;
use glm_model::{GlmConfig, Network};
use serde::Serialize;

use super::loading::Loaded;
use super::training::{ids, positions};
use super::{Rate, Split};
use crate::cmd::peaks::Peaks;
use crate::config::BenchSettings;

/// Answers at a time.
const BATCHES: [usize; 2] = [1, 8];
/// Most tokens of each answer that are timed; the shortest counts.
const STEPS: usize = 24;
/// Seconds after which no further token is timed.
const BUDGET: f64 = 2.0;
/// Times that a prompt is read; the shortest counts.
const PROMPTS: usize = 3;

/// Prompts and answers through the whole base.
#[derive(Debug, Serialize)]
pub(super) struct Decoding {
    /// Tokens of the prompt.
    pub context: usize,
    /// Blocks that were measured.
    pub blocks: usize,
    /// Blocks of the base.
    pub layers: usize,
    /// Seconds of the prompt, of a block and of all else.
    pub prompt_time: Split,
    /// Seconds of the prompt.
    pub prompt_seconds: f64,
    /// Tokens of the prompt a second.
    pub prompt_tokens_per_second: f64,
    /// Operations of the frozen products.
    pub prompt: Rate,
    /// Answers.
    pub answers: Vec<Answers>,
}

/// Some answers at a time.
#[derive(Debug, Serialize)]
pub(super) struct Answers {
    /// How many.
    pub batch: usize,
    /// Seconds of a token of each, of a block and of all else.
    pub time: Split,
    /// Seconds of a token of each.
    pub step_seconds: f64,
    /// Tokens a second, all answers together.
    pub tokens_per_second: f64,
    /// Bytes of weights that are read.
    pub weights: Rate,
}

/// Measures.
///
/// # Errors
/// When memory runs out.
pub(super) fn measure(
    loaded: &Loaded,
    config: &GlmConfig,
    settings: &BenchSettings,
    peaks: &Peaks,
) -> anyhow::Result<Decoding> {
    let layers = config.num_layers;
    let blocks = loaded.blocks();
    let context = settings.context;
    let split = |of: &dyn Fn(&Network) -> anyhow::Result<f64>| -> anyhow::Result<Split> {
        Ok(Split::of(of(&loaded.one)?, of(&loaded.all)?, blocks))
    };
    let prompt_time = split(&|network| prompt_seconds(network, context))?;
    let prompt_seconds = prompt_time.total(layers);
    let of_block: usize = layout::linears(config).iter().map(|(_, [out, inner], _)| out * inner).sum();
    // Logits are made for the last token alone.
    let operations = 2.0 * (of_block * layers * context + config.vocab_size * config.hidden_size) as f64;
    let bytes = loaded.block_bytes * layers as f64 + loaded.output_bytes;
    let mut answers = Vec::new();
    for batch in BATCHES {
        let time = split(&|network| step_seconds(network, context, batch))?;
        let step_seconds = time.total(layers);
        answers.push(Answers {
            batch,
            time,
            step_seconds,
            tokens_per_second: batch as f64 / step_seconds.max(1e-9),
            weights: Rate::of(bytes, step_seconds, peaks.read_bytes_per_second),
        });
    }
    Ok(Decoding {
        context,
        blocks,
        layers,
        prompt_time,
        prompt_seconds,
        prompt_tokens_per_second: context as f64 / prompt_seconds.max(1e-9),
        prompt: Rate::of(operations, prompt_seconds, peaks.of(settings.base.compute.into())),
        answers,
    })
}

/// Runs `batch` rows of a prompt, and hands each step's seconds to `step` until it says that it has enough.
fn steps(network: &Network, context: usize, batch: usize, mut step: impl FnMut(f64) -> bool) -> anyhow::Result<()> {
    let slots = AdapterSlots::default();
    // Nothing ends an answer.
    let mut engine = Engine::new(network, &slots, SpecialIds { eos: Vec::new(), pad: 0 });
    engine.prefill_tokens = context * batch;
    let config = GenerationConfig { do_sample: false, max_new_tokens: Some(STEPS + 2), ..GenerationConfig::default() };
    let mut running = engine.start();
    let prompt = ids(network.config(), context);
    let request = Request { positions: positions(network.config(), context), ..Request::new(prompt, None, &config) };
    for index in 0..batch {
        running.admit(index, &request, &config)?;
    }
    while !running.is_empty() {
        let began = Instant::now();
        running.step(&mut |_| {})?;
        if !step(began.elapsed().as_secs_f64()) {
            break;
        }
    }
    Ok(())
}

fn prompt_seconds(network: &Network, context: usize) -> anyhow::Result<f64> {
    let mut shortest = f64::INFINITY;
    let began = Instant::now();
    for number in 0..PROMPTS {
        steps(network, context, 1, |seconds| {
            shortest = shortest.min(seconds);
            false
        })?;
        if number > 0 && began.elapsed().as_secs_f64() > BUDGET {
            break;
        }
    }
    Ok(shortest)
}

fn step_seconds(network: &Network, context: usize, batch: usize) -> anyhow::Result<f64> {
    let (mut shortest, mut number, mut spent) = (f64::INFINITY, 0, 0.0);
    steps(network, context, batch, |seconds| {
        number += 1;
        // The first reads the prompts, the second warms caches.
        if number > 2 {
            shortest = shortest.min(seconds);
            spent += seconds;
        }
        spent < BUDGET
    })?;
    Ok(shortest)
}
