//! The loop of the computing thread.

use super::job::{Event, Failure, Job, Used};
use super::kept::KeptPasts;
use super::memory::{self, Step};
use super::{Limits, Shared};
use crate::model::Model;
use glm_infer::{Answer, Ended, Engine, Running};
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Instant;

/// Prompt tokens of one pass while others wait for their next token, and while none does: products of so many rows are as fast
/// as longer ones, and nobody waits long.
const PROMPT_TOKENS_BESIDE_ANSWERS: usize = 64;
const PROMPT_TOKENS_ALONE: usize = 256;

/// Share of a new measurement in what an answer usually takes.
const NEWEST: f64 = 0.2;

/// A job in progress.
struct Active {
    job: Job,
    began: Instant,
    cached: usize,
    told: usize,
    last_token: Instant,
}

struct Worker<'m> {
    model: &'m Model,
    limits: Limits,
    shared: &'m Shared,
    running: Running<'m>,
    active: BTreeMap<usize, Active>,
    kept: KeptPasts,
    next_index: usize,
}

/// Answers until the scheduler shuts down.
pub(super) fn run(model: &Model, limits: Limits, shared: &Shared) {
    let engine = Engine::new(&model.network, &model.slots, model.special()).with_tokenizer(&model.tokenizer);
    let mut worker = Worker {
        model,
        limits,
        shared,
        running: engine.start(),
        active: BTreeMap::new(),
        kept: KeptPasts::default(),
        next_index: 0,
    };
    while worker.wait() {
        worker.leave_early();
        worker.admit();
        worker.fit();
        worker.step();
        worker.measure();
    }
}

impl Worker<'_> {
    /// Waits until there is something to do; `false`: nothing will come any more.
    fn wait(&mut self) -> bool {
        let mut state = self.shared.state();
        loop {
            if state.aborting {
                for job in state.queue.take_out(|_| true) {
                    send(&job, Event::Failed(Failure::Stopping));
                }
                drop(state);
                for (_, active) in std::mem::take(&mut self.active) {
                    send(&active.job, Event::Failed(Failure::Stopping));
                }
                return false;
            }
            if !self.running.is_empty() || !state.queue.is_empty() {
                return true;
            }
            if state.stopping {
                return false;
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends what nobody waits for any more and what has had its time.
    fn leave_early(&mut self) {
        let now = Instant::now();
        let over = |job: &Job| job.events.is_closed() || job.deadline.is_some_and(|deadline| deadline <= now);
        for job in self.shared.state().queue.take_out(over) {
            self.end_early(&job);
        }
        let ended: Vec<usize> = self.active.iter().filter(|(_, a)| over(&a.job)).map(|(index, _)| *index).collect();
        for index in ended {
            // What it has read may help the next question of the same conversation.
            if let Some(past) = self.running.remove(index).and_then(|ended| ended.past) {
                self.keep(past);
            }
            if let Some(active) = self.active.remove(&index) {
                if !active.job.events.is_closed() {
                    let seconds = active.began.elapsed().as_secs_f64();
                    let mut state = self.shared.state();
                    state.usual_seconds += NEWEST * (seconds - state.usual_seconds);
                }
                self.end_early(&active.job);
            }
        }
    }

    fn end_early(&self, job: &Job) {
        let outcome = if job.events.is_closed() { "cancelled" } else { "deadline" };
        self.shared.metrics.ended(&job.answerer.id, outcome);
        send(job, Event::Failed(Failure::Deadline));
    }

    /// Lets in what waits, as long as there is room.
    fn admit(&mut self) {
        while self.running.len() < self.limits.max_batch {
            let loads: Vec<_> = self.running.loads().collect();
            // Those that gave way come first.
            if loads.iter().any(|load| load.paused) {
                return;
            }
            let mut state = self.shared.state();
            let Some(job) = state.queue.peek() else { return };
            let prompt = self.model.cache_bytes(job.request.prompt.len() + 1);
            let used = memory::needed(&loads, |tokens| self.model.cache_bytes(tokens));
            let spare = loads.len() * self.model.cache_bytes(1);
            if !loads.is_empty() && used + spare + prompt > self.limits.cache_bytes {
                return;
            }
            let Some(job) = state.queue.pop() else { return };
            state.running += 1;
            drop(state);
            self.begin(job);
        }
    }

    fn begin(&mut self, job: Job) {
        let index = self.next_index;
        self.next_index += 1;
        let past = self.kept.begin(job.request.slot, &job.request.prompt);
        let cached = past.as_ref().map_or(0, |past| past.useful(job.request.slot, &job.request.prompt));
        let now = Instant::now();
        self.shared.metrics.began(&job.answerer.id, now - job.asked, job.request.prompt.len(), cached);
        match self.running.admit_after(index, &job.request, &job.config, past) {
            Ok(()) => {
                self.active.insert(index, Active { job, began: now, cached, told: 0, last_token: now });
            }
            Err(error) => {
                self.shared.metrics.ended(&job.answerer.id, "error");
                send(&job, Event::Failed(Failure::Model(error.to_string())));
            }
        }
    }

    /// Makes the rows fit into memory: kept pasts go first, then rows give way.
    fn fit(&mut self) {
        let bytes = |tokens: usize| self.model.cache_bytes(tokens);
        loop {
            let loads: Vec<_> = self.running.loads().collect();
            match memory::next_step(&loads, self.limits.cache_bytes, bytes) {
                Step::Pause(index) => self.running.pause(index),
                Step::Resume(index) => self.running.resume(index),
                Step::Fits => {
                    let needed = memory::needed(&loads, bytes);
                    while needed + self.kept.bytes() > self.limits.cache_bytes && self.kept.drop_oldest() {}
                    return;
                }
            }
        }
    }

    fn step(&mut self) {
        let answering = self.running.loads().any(|load| !load.paused && load.pending == 1);
        // What was kept of an adapter that is gone can be of no use.
        self.kept.retain(|slot| slot.is_none_or(|slot| self.model.slots.contains(slot)));
        self.running.prefill_tokens = if answering { PROMPT_TOKENS_BESIDE_ANSWERS } else { PROMPT_TOKENS_ALONE };
        let requests = self.running.loads().filter(|load| !load.paused).count();
        let began = Instant::now();
        let (active, metrics) = (&mut self.active, &self.shared.metrics);
        let ended = self.running.step(&mut |token| {
            let Some(active) = active.get_mut(&token.index) else { return };
            let now = Instant::now();
            match active.told {
                0 => metrics.first_token(&active.job.answerer.id, now - active.job.asked),
                _ => metrics.next_token(&active.job.answerer.id, now - active.last_token),
            }
            active.told += 1;
            active.last_token = now;
            send(&active.job, Event::Token { id: token.id, logprobs: token.logprobs.cloned() });
        });
        if requests > 0 {
            metrics.step(began.elapsed(), requests);
        }
        match ended {
            Ok(ended) => ended.into_iter().for_each(|ended| self.end(ended)),
            Err(error) => {
                tracing::error!(%error, "a pass over the batch failed");
                self.running.cancel();
                for (_, active) in std::mem::take(&mut self.active) {
                    self.shared.metrics.ended(&active.job.answerer.id, "error");
                    send(&active.job, Event::Failed(Failure::Model(error.to_string())));
                }
            }
        }
    }

    fn end(&mut self, ended: Ended) {
        if let Some(past) = ended.past {
            self.keep(past);
        }
        let Some(active) = self.active.remove(&ended.index) else { return };
        let seconds = active.began.elapsed().as_secs_f64();
        let mut state = self.shared.state();
        state.usual_seconds += NEWEST * (seconds - state.usual_seconds);
        // Before the client hears of it: it may ask again at once.
        state.running = self.active.len();
        drop(state);
        match ended.answer {
            Ok(answer) => {
                self.shared.metrics.ended(&active.job.answerer.id, "complete");
                let used = used(&active, &answer);
                send(&active.job, Event::Done { answer, used });
            }
            Err(error) => {
                tracing::error!(%error, model = active.job.answerer.id, "no token can be chosen");
                self.shared.metrics.ended(&active.job.answerer.id, "error");
                send(&active.job, Event::Failed(Failure::Model(error.to_string())));
            }
        }
    }

    fn keep(&mut self, past: glm_infer::Past) {
        if self.limits.keep_pasts {
            self.kept.keep(past);
        }
    }

    fn measure(&self) {
        let metrics = &self.shared.metrics;
        let mut state = self.shared.state();
        state.running = self.active.len();
        metrics.waiting.set(state.queue.len() as i64);
        drop(state);
        metrics.running.set(self.running.len() as i64);
        metrics.paused.set(self.running.loads().filter(|load| load.paused).count() as i64);
        metrics.cache_used.set(self.running.cache_bytes() as i64);
        metrics.cache_kept.set(self.kept.bytes() as i64);
    }
}

fn used(active: &Active, answer: &Answer) -> Used {
    Used { prompt: active.job.request.prompt.len(), cached: active.cached, completion: answer.tokens.len() }
}

/// Tells a job's receiver. That nobody listens is seen at the next step.
fn send(job: &Job, event: Event) {
    let _ = job.events.send((job.choice, event));
}
