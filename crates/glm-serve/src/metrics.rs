//! What operators watch, in Prometheus' text format.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfModel {
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfEnd {
    model: String,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfResponse {
    route: String,
    status: u16,
}

/// All metrics of a server. Histograms are in seconds.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests that wait.
    pub waiting: Gauge,
    /// Requests that are being answered, paused ones included.
    pub running: Gauge,
    /// Requests whose keys and values gave way to others'.
    pub paused: Gauge,
    /// Bytes of keys and values of answers in progress.
    pub cache_used: Gauge,
    /// Bytes of kept keys and values.
    pub cache_kept: Gauge,
    ended: Family<OfEnd, Counter>,
    prompt_tokens: Family<OfModel, Counter>,
    cached_tokens: Family<OfModel, Counter>,
    answer_tokens: Family<OfModel, Counter>,
    queued: Family<OfModel, Histogram>,
    first_token: Family<OfModel, Histogram>,
    next_token: Family<OfModel, Histogram>,
    step: Histogram,
    batch: Histogram,
    responses: Family<OfResponse, Counter>,
}

/// From a millisecond to two minutes.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 18))
}

impl Metrics {
    /// All at zero. `cache_limit` are the bytes that keys and values may occupy.
    pub fn new(cache_limit: usize) -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("glmtune"),
            waiting: Gauge::default(),
            running: Gauge::default(),
            paused: Gauge::default(),
            cache_used: Gauge::default(),
            cache_kept: Gauge::default(),
            ended: Family::default(),
            prompt_tokens: Family::default(),
            cached_tokens: Family::default(),
            answer_tokens: Family::default(),
            queued: Family::new_with_constructor(seconds),
            first_token: Family::new_with_constructor(seconds),
            next_token: Family::new_with_constructor(seconds),
            step: seconds(),
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            responses: Family::default(),
        };
        metrics.registered(cache_limit)
    }

    fn registered(mut self, cache_limit: usize) -> Self {
        let r = &mut self.registry;
        let limit = Gauge::<i64>::default();
        limit.set(cache_limit as i64);
        r.register("requests_waiting", "Requests that wait to be answered", self.waiting.clone());
        r.register("requests_running", "Requests that are being answered", self.running.clone());
        r.register("requests_paused", "Requests that gave their keys and values up for others", self.paused.clone());
        r.register_with_unit(
            "kv_cache",
            "Keys and values of answers in progress",
            Unit::Bytes,
            self.cache_used.clone(),
        );
        r.register_with_unit(
            "kv_cache_kept",
            "Keys and values of finished answers",
            Unit::Bytes,
            self.cache_kept.clone(),
        );
        r.register_with_unit("kv_cache_limit", "What all keys and values may occupy", Unit::Bytes, limit);
        r.register("requests", "Requests that ended, by outcome", self.ended.clone());
        r.register("prompt_tokens", "Tokens of prompts", self.prompt_tokens.clone());
        r.register("prompt_tokens_cached", "Tokens of prompts that were not read again", self.cached_tokens.clone());
        r.register("answer_tokens", "Tokens of answers", self.answer_tokens.clone());
        r.register_with_unit("queue_time", "Time in the queue", Unit::Seconds, self.queued.clone());
        r.register_with_unit(
            "time_to_first_token",
            "From the request to its first token",
            Unit::Seconds,
            self.first_token.clone(),
        );
        r.register_with_unit("time_per_token", "From one token to the next", Unit::Seconds, self.next_token.clone());
        r.register_with_unit("step_time", "One pass over the batch", Unit::Seconds, self.step.clone());
        r.register("batch_size", "Requests in one pass", self.batch.clone());
        r.register("http_responses", "Responses by route and status", self.responses.clone());
        self
    }

    /// A request of a model leaves the queue.
    pub fn began(&self, model: &str, waited: Duration, prompt: usize, cached: usize) {
        let of = OfModel { model: model.to_owned() };
        self.queued.get_or_create(&of).observe(waited.as_secs_f64());
        self.prompt_tokens.get_or_create(&of).inc_by(prompt as u64);
        self.cached_tokens.get_or_create(&of).inc_by(cached as u64);
    }

    /// Its first token came so long after it was asked for.
    pub fn first_token(&self, model: &str, after: Duration) {
        let of = OfModel { model: model.to_owned() };
        self.first_token.get_or_create(&of).observe(after.as_secs_f64());
        self.answer_tokens.get_or_create(&of).inc();
    }

    /// Another token came so long after the one before.
    pub fn next_token(&self, model: &str, after: Duration) {
        let of = OfModel { model: model.to_owned() };
        self.next_token.get_or_create(&of).observe(after.as_secs_f64());
        self.answer_tokens.get_or_create(&of).inc();
    }

    /// A request ended: `complete`, `cancelled`, `deadline` or `error`.
    pub fn ended(&self, model: &str, outcome: &str) {
        self.ended.get_or_create(&OfEnd { model: model.to_owned(), outcome: outcome.to_owned() }).inc();
    }

    /// A pass over so many requests took so long.
    pub fn step(&self, took: Duration, requests: usize) {
        self.step.observe(took.as_secs_f64());
        self.batch.observe(requests as f64);
    }

    /// A response went out. `route` is the server's own name for it, never the path that was asked for.
    pub fn response(&self, route: &str, status: u16) {
        self.responses.get_or_create(&OfResponse { route: route.to_owned(), status }).inc();
    }

    /// All of them as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
