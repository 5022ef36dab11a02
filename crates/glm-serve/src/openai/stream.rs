//! Answers as server-sent events.

use super::answers::{Asked, Piece, Pieces, add};
use super::words::TokenLogprob;
use crate::http::error::ApiError;
use crate::http::state::Shared;
use crate::scheduler::Used;
use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Events that may wait for a slow reader.
const WAITING: usize = 32;

/// What a stream is made of.
pub struct Form {
    /// Of a chat, or of a completion.
    pub chat: bool,
    /// Answers to a prompt.
    pub n: usize,
    /// Whether a last event counts tokens.
    pub usage: bool,
    /// Texts in front of the answers to each prompt.
    pub echo: Vec<String>,
}

/// The response; its events come while the answers do. When the client goes, so do the jobs.
pub fn response(state: Shared, asked: Asked, form: Form) -> Response {
    let (sender, receiver) = channel::<Bytes>(WAITING);
    let done = Arc::new(AtomicBool::new(false));
    let whole = Arc::clone(&done);
    tokio::spawn(async move {
        let patience = state.config.read_timeout;
        let mut asked = asked;
        let complete = done;
        let events = Events { sender: &sender, patience };
        tokio::select! {
            // Nobody reads any more: dropping the other future drops the channel of the jobs.
            () = sender.closed() => {}
            gone = run(&state, &mut asked, &form, &events) => {
                let told = match gone {
                    Ok(()) => true,
                    Err(Gone::Failed(error)) => events.send(&error.body()).await.is_ok(),
                    Err(Gone::Client) => false,
                };
                complete.store(told, Ordering::Relaxed);
            }
        }
    });
    // A stream that breaks off must not look like one that has ended.
    let end = std::iter::once_with(move || (!whole.load(Ordering::Relaxed)).then(|| Err(broken()))).flatten();
    let body = Body::from_stream(ReceiverStream::new(receiver).map(Ok).chain(tokio_stream::iter(end)));
    let headers = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    // Proxies must not gather events up.
    (headers, [("x-accel-buffering", "no")], body).into_response()
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client does not read")
}

/// Why a stream ends before its end.
enum Gone {
    /// The client does not read.
    Client,
    /// There is no answer.
    Failed(ApiError),
}

struct Events<'a> {
    sender: &'a Sender<Bytes>,
    patience: std::time::Duration,
}

impl Events<'_> {
    async fn send(&self, event: &Value) -> Result<(), Gone> {
        self.line(&event.to_string()).await
    }

    async fn line(&self, text: &str) -> Result<(), Gone> {
        let line = Bytes::from(format!("data: {text}\n\n"));
        match tokio::time::timeout(self.patience, self.sender.send(line)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone::Client),
        }
    }
}

async fn run(state: &Shared, asked: &mut Asked, form: &Form, events: &Events<'_>) -> Result<(), Gone> {
    let head = json!({
        "id": asked.id,
        "object": if form.chat { "chat.completion.chunk" } else { "text_completion" },
        "created": asked.created,
        "model": asked.answerer.id,
        "system_fingerprint": state.models.model().network.fingerprint(),
    });
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut event = head.clone();
        event["choices"] = choices;
        if form.usage {
            event["usage"] = usage.unwrap_or(Value::Null);
        }
        event
    };
    let choice = |index: usize, text: Option<String>, words: &[TokenLogprob], reason: Option<&str>, offset: usize| {
        let logprobs = match words {
            [] => Value::Null,
            words if form.chat => json!({ "content": words.iter().map(TokenLogprob::in_chat).collect::<Vec<_>>() }),
            words => TokenLogprob::in_completion(words, offset),
        };
        let mut choice = json!({ "index": index, "logprobs": logprobs, "finish_reason": reason });
        match (form.chat, text) {
            (true, Some(text)) => choice["delta"] = json!({ "content": text }),
            (true, None) => choice["delta"] = json!({}),
            (false, text) => choice["text"] = json!(text.unwrap_or_default()),
        }
        chunk(json!([choice]), None)
    };
    let mut lengths = vec![0; asked.choices];
    for (index, length) in lengths.iter_mut().enumerate() {
        if form.chat {
            let begin = json!([{ "index": index, "delta": { "role": "assistant", "content": "" }, "logprobs": null, "finish_reason": null }]);
            events.send(&chunk(begin, None)).await?;
        } else if let Some(text) = form.echo.get(index / form.n.max(1)) {
            *length = text.chars().count();
            events.send(&choice(index, Some(text.clone()), &[], None, 0)).await?;
        }
    }
    let mut total = Used { prompt: 0, cached: 0, completion: 0 };
    let mut pieces = Pieces::new(asked, &state.models.model().tokenizer, form.chat);
    while let Some((index, piece)) = pieces.next().await.map_err(Gone::Failed)? {
        match piece {
            Piece::Text(text, words) if text.is_empty() && words.is_empty() => {}
            Piece::Text(text, words) => {
                let offset = lengths[index];
                lengths[index] += text.chars().count();
                events.send(&choice(index, Some(text), &words, None, offset)).await?;
            }
            Piece::End(text, reason, used) => {
                add(&mut total, used, index, form.n);
                if !text.is_empty() {
                    events.send(&choice(index, Some(text), &[], None, lengths[index])).await?;
                }
                events.send(&choice(index, None, &[], Some(reason), lengths[index])).await?;
            }
        }
    }
    if form.usage {
        events.send(&chunk(json!([]), Some(usage(total)))).await?;
    }
    events.line("[DONE]").await
}

/// OpenAI's `usage`.
pub fn usage(used: Used) -> Value {
    json!({
        "prompt_tokens": used.prompt,
        "completion_tokens": used.completion,
        "total_tokens": used.prompt + used.completion,
        "prompt_tokens_details": { "cached_tokens": used.cached },
    })
}
