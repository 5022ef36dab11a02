//! What is asked of the scheduler, and what it answers.

use crate::models::Answerer;
use glm_infer::{Answer, GenerationConfig, Logprobs, Request};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;

/// One answer that is wanted.
#[derive(Debug)]
pub struct Job {
    /// The prompt; its slot is the answerer's.
    pub request: Request,
    /// How tokens are chosen.
    pub config: GenerationConfig,
    /// Who answers: its adapter stays as long as the job.
    pub answerer: Arc<Answerer>,
    /// When it came.
    pub asked: Instant,
    /// When it ends, ready or not; `None`: never.
    pub deadline: Option<Instant>,
    /// Where its events go. Not bounded, but it holds no more than the answer's tokens; when nobody listens the job ends.
    pub events: UnboundedSender<(usize, Event)>,
    /// Comes back with every event: jobs of one request share a channel.
    pub choice: usize,
}

/// Something happened to a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A token that will stay part of the answer.
    Token {
        /// The token.
        id: u32,
        /// How likely it was, where that was asked for.
        logprobs: Option<Logprobs>,
    },
    /// The answer is complete; no event follows.
    Done {
        /// All of it.
        answer: Answer,
        /// What it took.
        used: Used,
    },
    /// There is no answer; no event follows.
    Failed(Failure),
}

/// What an answer took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// How many of these were not read again, since an earlier prompt began alike.
    pub cached: usize,
    /// Tokens of the answer, its end token included.
    pub completion: usize,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The deadline came.
    Deadline,
    /// The server is shutting down.
    Stopping,
    /// The network or the settings: what they say.
    Model(String),
}
