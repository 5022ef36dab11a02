//! `POST /v1/chat/completions`.

use super::answers::{ask, whole};
use super::fields::Fields;
use super::prompt::chat_prompt;
use super::reading::reading;
use super::stream::{self, Form, usage};
use super::words::TokenLogprob;
use crate::http::client::Client;
use crate::http::error::ApiError;
use crate::http::state::Shared;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;

/// Answers a conversation.
///
/// # Errors
/// As OpenAI's API.
pub async fn chat(State(state): State<Shared>, client: Client, body: Bytes) -> Result<Response, ApiError> {
    let mut fields = Fields::read(&body)?;
    let bytes = body.len();
    drop(body);
    let answerer = fields.answerer(&state.models)?;
    let Some(messages) = fields.messages.take() else {
        return Err(ApiError::invalid(
            "messages",
            "messages is missing; expected a list of messages with role and content",
        ));
    };
    let (shared, who, tools) = (state.clone(), Arc::clone(&answerer), fields.tools.take());
    let encode = move || chat_prompt(&shared.models.model().tokenizer, &who, messages, tools.as_ref());
    let prompt = reading(bytes, encode).await??;
    let tokenizer = &state.models.model().tokenizer;
    let mut asked = ask(&state, &client.0, &fields, answerer, vec![prompt], "chatcmpl")?;
    let n = fields.choices()?;
    if fields.stream.unwrap_or(false) {
        let usage = fields.stream_options.unwrap_or_default().include_usage;
        return Ok(stream::response(state.clone(), asked, Form { chat: true, n, usage, echo: Vec::new() }));
    }
    let (answers, used) = whole(&mut asked, tokenizer, true, n).await?;
    let choices: Vec<Value> = answers
        .into_iter()
        .enumerate()
        .map(|(index, answer)| {
            let logprobs = asked
                .alternatives
                .map(|_| json!({ "content": answer.logprobs.iter().map(TokenLogprob::in_chat).collect::<Vec<_>>() }));
            json!({
                "index": index,
                "message": { "role": "assistant", "content": answer.text },
                "logprobs": logprobs,
                "finish_reason": answer.reason,
            })
        })
        .collect();
    Ok(axum::Json(json!({
        "id": asked.id,
        "object": "chat.completion",
        "created": asked.created,
        "model": asked.answerer.id,
        "system_fingerprint": state.models.model().network.fingerprint(),
        "choices": choices,
        "usage": usage(used),
    }))
    .into_response())
}
