//! The one thread that computes: it answers all requests in one batch, into which they come and from which they leave at any
//! token (continuous batching, Yu et al., "Orca", 2022).

mod job;
mod kept;
mod memory;
mod queue;
mod worker;

pub use job::{Event, Failure, Job, Used};

use crate::metrics::Metrics;
use crate::model::Model;
use queue::Queue;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Limits of the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests that are answered at a time.
    pub max_batch: usize,
    /// Requests that may wait beside them.
    pub max_queue: usize,
    /// Bytes of keys and values, of answers in progress and kept ones together.
    pub cache_bytes: usize,
    /// Keep the keys and values of finished answers for what begins alike.
    pub keep_pasts: bool,
}

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The queue is full.
    #[error("{waiting} requests are waiting already; try again in {retry_after} seconds")]
    Full {
        /// Requests that wait.
        waiting: usize,
        /// Seconds after which there may be room.
        retry_after: u64,
    },
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Stopping,
    /// Prompt and answer never fit into the memory for keys and values.
    #[error(
        "prompt and answer of {tokens} tokens need {needed} bytes of keys and values, the server has {available}; ask for \
         fewer tokens (max_tokens)"
    )]
    TooLarge {
        /// Tokens of prompt and answer.
        tokens: usize,
        /// Bytes that they need.
        needed: usize,
        /// Bytes that there are.
        available: usize,
    },
}

/// What the server's other threads and the computing one share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct State {
    queue: Queue<Job>,
    /// Requests that are being answered.
    running: usize,
    /// Nothing new is taken; what runs and waits is finished.
    stopping: bool,
    /// What runs and waits ends at once.
    aborting: bool,
    /// Seconds that an answer took lately.
    usual_seconds: f64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes requests and answers them.
#[derive(Debug)]
pub struct Scheduler {
    model: Arc<Model>,
    limits: Limits,
    shared: Arc<Shared>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

impl Scheduler {
    /// Starts the computing thread.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub fn start(model: Arc<Model>, limits: Limits, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let state = State { queue: Queue::new(), running: 0, stopping: false, aborting: false, usual_seconds: 1.0 };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), metrics });
        let worker = {
            let (model, shared) = (Arc::clone(&model), Arc::clone(&shared));
            // A panic ends the requests in progress, whose senders go with the worker; those that wait are answered after it.
            let run = move || {
                let work = || worker::run(&model, limits, &shared);
                while std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
                    tracing::error!("the computing thread panicked: what was being answered is lost, the rest goes on");
                    shared.state().running = 0;
                }
            };
            std::thread::Builder::new().name("answers".into()).spawn(run)?
        };
        Ok(Self { model, limits, shared, worker: Mutex::new(Some(worker)) })
    }

    /// Whether requests are answered.
    pub fn works(&self) -> bool {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        worker.as_ref().is_some_and(|worker| !worker.is_finished())
    }

    /// The limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Takes several requests of a client, or none of them. Answers come as events of each job; a job whose receiver is gone
    /// is cancelled.
    ///
    /// # Errors
    /// When there is no room, ever or now.
    pub fn submit(&self, client: &str, jobs: Vec<Job>) -> Result<(), Refused> {
        for job in &jobs {
            let tokens = job.request.prompt.len().saturating_add(job.request.max_new_tokens);
            let needed = self.model.cache_bytes(tokens);
            if needed > self.limits.cache_bytes {
                return Err(Refused::TooLarge { tokens, needed, available: self.limits.cache_bytes });
            }
        }
        let mut state = self.shared.state();
        if state.stopping {
            return Err(Refused::Stopping);
        }
        let waiting = state.queue.len();
        let room = self.limits.max_batch.saturating_sub(state.running).saturating_add(self.limits.max_queue);
        let rounds = waiting as f64 / self.limits.max_batch.max(1) as f64 + 1.0;
        let retry_after = (rounds * state.usual_seconds).ceil().clamp(1.0, 600.0) as u64;
        if waiting + jobs.len() > room {
            return Err(Refused::Full { waiting, retry_after });
        }
        state.queue.push_all(client, jobs);
        self.shared.metrics.waiting.set(state.queue.len() as i64);
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Takes nothing new, finishes what runs and waits for at most `patience`, ends the rest, and returns when the computing
    /// thread has ended.
    pub fn shut_down(&self, patience: Duration) {
        self.shared.state().stopping = true;
        self.shared.changed.notify_all();
        let Some(worker) = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let began = std::time::Instant::now();
        while !worker.is_finished() && began.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.shared.state().aborting = true;
        self.shared.changed.notify_all();
        // It catches its panics.
        let _ = worker.join();
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.shut_down(Duration::ZERO);
    }
}
