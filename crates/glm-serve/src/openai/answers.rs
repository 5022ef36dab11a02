//! From prompts to the texts of their answers, piece by piece or whole.

use super::fields::{Fields, random, request};
use super::words::TokenLogprob;
use crate::http::error::ApiError;
use crate::http::state::Shared;
use crate::models::{Answerer, now};
use crate::scheduler::{Event, Job, Used};
use glm_data::prompt::Shown;
use glm_data::{StreamDecoder, Tokenizer};
use glm_infer::Finish;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// What was asked for, on its way.
#[derive(Debug)]
pub struct Asked {
    /// Name of the response.
    pub id: String,
    /// When it was asked for, in seconds since 1970.
    pub created: u64,
    /// Who answers.
    pub answerer: Arc<Answerer>,
    /// Answers that will come: `n` to the first prompt, `n` to the second one …
    pub choices: usize,
    /// Likely tokens beside each token; `None`: no probabilities.
    pub alternatives: Option<usize>,
    events: UnboundedReceiver<(usize, Event)>,
    /// Write answers into the log.
    log: bool,
}

/// Hands prompts to the scheduler.
///
/// # Errors
/// When a field of the request is wrong, or there is no room.
pub fn ask(
    state: &Shared,
    client: &str,
    fields: &Fields,
    answerer: Arc<Answerer>,
    prompts: Vec<Vec<u32>>,
    kind: &str,
) -> Result<Asked, ApiError> {
    let (generation, n, alternatives) = (fields.generation(&state.config)?, fields.choices()?, fields.alternatives()?);
    let tokenizer = &state.models.model().tokenizer;
    let limits = state.scheduler.limits();
    let (wanted, most) = (prompts.len().saturating_mul(n), limits.max_batch.saturating_add(limits.max_queue));
    if wanted > most {
        let message =
            format!("{wanted} answers (prompts times n) are asked for at once; this server takes at most {most}");
        return Err(ApiError::invalid("n", message));
    }
    let (sender, events) = unbounded_channel();
    let asked = Instant::now();
    let mut jobs = Vec::with_capacity(prompts.len() * n);
    for prompt in prompts {
        if state.config.log_prompts {
            tracing::info!(model = answerer.id, prompt = tokenizer.decode(&prompt), "asked");
        }
        let one = request(tokenizer, prompt, &answerer, &generation, &state.config)?;
        for _ in 0..n {
            let choice = jobs.len();
            jobs.push(Job {
                request: glm_infer::Request { stream: choice as u64, logprobs: alternatives, ..one.clone() },
                config: generation.clone(),
                answerer: Arc::clone(&answerer),
                asked,
                deadline: Some(asked + state.config.request_timeout),
                events: sender.clone(),
                choice,
            });
        }
    }
    let choices = jobs.len();
    // Without keys anybody could call himself many users, and take many turns.
    let client = fields.user.as_deref().filter(|_| state.keys.wanted()).unwrap_or(client);
    state.scheduler.submit(client, jobs)?;
    let log = state.config.log_prompts;
    Ok(Asked { log, id: format!("{kind}-{:016x}", random()), created: now(), answerer, choices, alternatives, events })
}

/// Something that a client is told of one answer.
#[derive(Debug)]
pub enum Piece {
    /// More of the text, which may be empty, and the tokens that it comes from.
    Text(String, Vec<TokenLogprob>),
    /// The rest of the text, why there is no more, and what it took.
    End(String, &'static str, Used),
}

/// The pieces of all answers of a request, in the order in which they come.
pub struct Pieces<'a> {
    asked: &'a mut Asked,
    tokenizer: &'a Tokenizer,
    eos: Vec<u32>,
    texts: Vec<Option<Text<'a>>>,
    open: usize,
}

impl<'a> Pieces<'a> {
    /// Of a chat, whose answers are tidied up as the official `chat` does, or of a completion, whose texts stay as they are.
    pub fn new(asked: &'a mut Asked, tokenizer: &'a Tokenizer, chat: bool) -> Self {
        let texts = (0..asked.choices).map(|_| Some(Text::new(tokenizer, chat))).collect();
        let open = asked.choices;
        Self { asked, tokenizer, eos: tokenizer.eos_ids(), texts, open }
    }

    /// The next piece and which answer it belongs to; `None` after the last one.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn next(&mut self) -> Result<Option<(usize, Piece)>, ApiError> {
        while self.open > 0 {
            // The scheduler sends an end for every job, unless its thread is gone.
            let (choice, event) =
                self.asked.events.recv().await.ok_or_else(|| ApiError::server("the computing thread has ended"))?;
            match event {
                Event::Token { id, .. } if self.eos.contains(&id) => {}
                Event::Token { id, logprobs } => {
                    let Some(text) = &mut self.texts[choice] else { continue };
                    let words = logprobs.map(|logprobs| TokenLogprob::new(self.tokenizer, id, &logprobs));
                    return Ok(Some((choice, Piece::Text(text.push(id), words.into_iter().collect()))));
                }
                Event::Done { answer, used } => {
                    let Some(text) = self.texts[choice].take() else { continue };
                    self.open -= 1;
                    if self.asked.log {
                        let said = answer.text.clone().unwrap_or_else(|| self.tokenizer.decode(&answer.tokens));
                        tracing::info!(model = self.asked.answerer.id, answer = said, "answered");
                    }
                    let reason = match answer.finish {
                        Finish::Eos | Finish::Stop => "stop",
                        Finish::Repetition => "repetition",
                        Finish::Length | Finish::Stopped => "length",
                    };
                    return Ok(Some((choice, Piece::End(text.finish(answer.text), reason, used))));
                }
                Event::Failed(failure) => return Err(failure.into()),
            }
        }
        Ok(None)
    }
}

/// A whole answer.
#[derive(Debug, Default)]
pub struct Whole {
    /// Its text.
    pub text: String,
    /// Why there is no more.
    pub reason: &'static str,
    /// Its tokens with their probabilities, where these are asked for.
    pub logprobs: Vec<TokenLogprob>,
}

/// Waits for all answers. Also what they took together; a prompt counts once, however many answers it gets.
///
/// # Errors
/// When one of them fails.
pub async fn whole(
    asked: &mut Asked,
    tokenizer: &Tokenizer,
    chat: bool,
    n: usize,
) -> Result<(Vec<Whole>, Used), ApiError> {
    let mut answers: Vec<Whole> = (0..asked.choices).map(|_| Whole::default()).collect();
    let mut total = Used { prompt: 0, cached: 0, completion: 0 };
    let mut pieces = Pieces::new(asked, tokenizer, chat);
    while let Some((choice, piece)) = pieces.next().await? {
        let answer = &mut answers[choice];
        match piece {
            Piece::Text(text, words) => {
                answer.text.push_str(&text);
                answer.logprobs.extend(words);
            }
            Piece::End(text, reason, used) => {
                answer.text.push_str(&text);
                answer.reason = reason;
                add(&mut total, used, choice, n);
            }
        }
    }
    Ok((answers, total))
}

/// Adds what an answer took; the prompt of its siblings counts once.
pub fn add(total: &mut Used, used: Used, choice: usize, n: usize) {
    total.completion += used.completion;
    if choice.is_multiple_of(n.max(1)) {
        total.prompt += used.prompt;
        total.cached += used.cached;
    }
}

/// The text of an answer that comes token by token.
enum Text<'a> {
    Chat(Shown<'a>),
    Plain { decoder: StreamDecoder<'a>, told: usize },
}

impl<'a> Text<'a> {
    fn new(tokenizer: &'a Tokenizer, chat: bool) -> Self {
        match chat {
            true => Self::Chat(Shown::new(tokenizer)),
            false => Self::Plain { decoder: tokenizer.stream_skipping_specials(), told: 0 },
        }
    }

    fn push(&mut self, id: u32) -> String {
        match self {
            Self::Chat(shown) => shown.push(id),
            Self::Plain { decoder, told } => {
                let text = decoder.push(id);
                *told += text.len();
                text
            }
        }
    }

    /// The rest. `whole`: all of the text where a stop string ended it, perhaps within a token.
    fn finish(self, whole: Option<String>) -> String {
        match self {
            Self::Chat(shown) => shown.finish(whole).0,
            Self::Plain { mut decoder, told } => match whole {
                Some(whole) => whole.get(told..).unwrap_or_default().to_owned(),
                None => decoder.finish(),
            },
        }
    }
}
