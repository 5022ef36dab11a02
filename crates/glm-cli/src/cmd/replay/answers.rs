//! Greedy answers, as an evaluation and as the server gets them.

use anyhow::{Context, bail};
use glm_data::{Positions, Tokenizer};
use glm_infer::{Engine, GenerationConfig, Request};
use glm_model::adapter::AdapterSlots;
use glm_serve::{Answerer, Event, Job, Limits, Metrics, Models, Scheduler};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::unbounded_channel;

/// Rows in progress at a time, on both sides.
const BATCH: usize = 8;

/// The two who answer.
pub struct Both<'a> {
    /// The server's models.
    pub models: &'a Models,
    /// Who answers in the server.
    pub answerer: &'a Arc<Answerer>,
    /// The evaluation's adapter.
    pub slots: &'a AdapterSlots,
    /// Its slot.
    pub slot: Option<usize>,
    /// Most tokens of an answer.
    pub max_new_tokens: usize,
}

impl Both<'_> {
    fn config(&self) -> GenerationConfig {
        GenerationConfig { do_sample: false, max_new_tokens: Some(self.max_new_tokens), ..GenerationConfig::default() }
    }

    /// Answers of the engine that evaluates.
    ///
    /// # Errors
    /// When a logit is not finite.
    pub fn evaluated(&self, prompts: &[&[u32]]) -> anyhow::Result<Vec<Vec<u32>>> {
        let (model, config) = (self.models.model(), self.config());
        let engine = Engine::new(&model.network, self.slots, model.special()).with_tokenizer(&model.tokenizer);
        let mut answers = Vec::with_capacity(prompts.len());
        for prompts in prompts.chunks(BATCH) {
            let requests = prompts.iter().map(|prompt| {
                let positions = Positions::of_padded(&model.tokenizer, prompt)?;
                Ok(Request { positions, ..Request::new(prompt.to_vec(), self.slot, &config) })
            });
            let requests: Vec<Request> = requests.collect::<anyhow::Result<_>>()?;
            let answered = engine.generate(&requests, &config, &AtomicBool::new(false), &mut |_, _| {})?;
            answers.extend(answered.into_iter().map(|answer| answer.tokens));
        }
        Ok(answers)
    }

    /// Answers of the server's scheduler, which gets all prompts at once.
    ///
    /// # Errors
    /// When the server has no answer.
    pub fn served(&self, prompts: &[&[u32]]) -> anyhow::Result<Vec<Vec<u32>>> {
        let (model, config) = (self.models.model(), self.config());
        let longest = prompts.iter().map(|prompt| prompt.len()).max().unwrap_or(0) + self.max_new_tokens;
        let cache_bytes = model.cache_bytes(longest).saturating_mul(BATCH);
        let limits = Limits { max_batch: BATCH, max_queue: prompts.len(), cache_bytes, keep_pasts: true };
        let scheduler = Scheduler::start(Arc::clone(model), limits, Arc::new(Metrics::new(cache_bytes)))?;
        let (events, mut receiver) = unbounded_channel();
        let jobs: anyhow::Result<Vec<Job>> = prompts
            .iter()
            .enumerate()
            .map(|(choice, prompt)| {
                Ok(Job {
                    request: self.request(&model.tokenizer, prompt, &config)?,
                    config: config.clone(),
                    answerer: Arc::clone(self.answerer),
                    asked: Instant::now(),
                    deadline: None,
                    events: events.clone(),
                    choice,
                })
            })
            .collect();
        drop(events);
        scheduler.submit("replay", jobs?)?;
        let mut answers: Vec<Option<Vec<u32>>> = vec![None; prompts.len()];
        while let Some((choice, event)) = receiver.blocking_recv() {
            match event {
                Event::Token { .. } => {}
                Event::Done { answer, .. } => answers[choice] = Some(answer.tokens),
                Event::Failed(failure) => bail!("the server has no answer to row {}: {failure:?}", choice + 1),
            }
        }
        scheduler.shut_down(Duration::ZERO);
        answers.into_iter().map(|answer| answer.context("the server's computing thread has ended")).collect()
    }

    fn request(&self, tokenizer: &Tokenizer, prompt: &[u32], config: &GenerationConfig) -> anyhow::Result<Request> {
        let positions = Positions::of(tokenizer, prompt)?;
        Ok(Request { positions, ..Request::new(prompt.to_vec(), self.answerer.slot(), config) })
    }
}
