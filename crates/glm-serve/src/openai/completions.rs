//! `POST /v1/completions`: texts that are gone on with as they stand, without the form of a conversation.

use super::answers::{ask, whole};
use super::fields::{Fields, Prompts};
use super::reading::reading;
use super::stream::{self, Form, usage};
use super::words::TokenLogprob;
use crate::http::client::Client;
use crate::http::error::ApiError;
use crate::http::state::Shared;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use glm_data::Tokenizer;
use serde_json::{Value, json};
use std::sync::Arc;

/// Most prompts of one request.
const MOST_PROMPTS: usize = 128;

/// Goes on with one or several prompts.
///
/// # Errors
/// As OpenAI's API.
pub async fn completions(State(state): State<Shared>, client: Client, body: Bytes) -> Result<Response, ApiError> {
    let mut fields = Fields::read(&body)?;
    let bytes = body.len();
    drop(body);
    let answerer = fields.answerer(&state.models)?;
    let Some(prompts) = fields.prompt.take() else {
        return Err(ApiError::invalid("prompt", "prompt is missing; expected a text, a list of texts, or token ids"));
    };
    let (shared, who) = (state.clone(), Arc::clone(&answerer));
    let encode = move || prompts_of(&shared.models.model().tokenizer, prompts, who.source_prefix());
    let (prompts, texts) = reading(bytes, encode).await??;
    let tokenizer = &state.models.model().tokenizer;
    let n = fields.choices()?;
    let echo = if fields.echo.unwrap_or(false) { texts } else { Vec::new() };
    let mut asked = ask(&state, &client.0, &fields, answerer, prompts, "cmpl")?;
    if fields.stream.unwrap_or(false) {
        let usage = fields.stream_options.unwrap_or_default().include_usage;
        return Ok(stream::response(state.clone(), asked, Form { chat: false, n, usage, echo }));
    }
    let (answers, used) = whole(&mut asked, tokenizer, false, n).await?;
    let choices: Vec<Value> = answers
        .into_iter()
        .enumerate()
        .map(|(index, answer)| {
            let before = echo.get(index / n).map_or("", String::as_str);
            let logprobs =
                asked.alternatives.map(|_| TokenLogprob::in_completion(&answer.logprobs, before.chars().count()));
            json!({
                "index": index,
                "text": format!("{before}{}", answer.text),
                "logprobs": logprobs,
                "finish_reason": answer.reason,
            })
        })
        .collect();
    Ok(axum::Json(json!({
        "id": asked.id,
        "object": "text_completion",
        "created": asked.created,
        "model": asked.answerer.id,
        "system_fingerprint": state.models.model().network.fingerprint(),
        "choices": choices,
        "usage": usage(used),
    }))
    .into_response())
}

/// Ids of the prompts, and their texts.
fn prompts_of(
    tokenizer: &Tokenizer,
    prompts: Prompts,
    source_prefix: &str,
) -> Result<(Vec<Vec<u32>>, Vec<String>), ApiError> {
    let ids: Vec<Vec<u32>> = match prompts {
        Prompts::Text(text) => return prompts_of(tokenizer, Prompts::Texts(vec![text]), source_prefix),
        Prompts::Ids(ids) => vec![ids],
        Prompts::ManyIds(ids) => ids,
        Prompts::Texts(texts) => {
            check_count(texts.len())?;
            let encode = |text: &String| tokenizer.encode_prompt(&format!("{source_prefix}{text}"));
            return Ok((texts.iter().map(encode).collect(), texts));
        }
    };
    check_count(ids.len())?;
    let vocabulary = tokenizer.vocab_size();
    if let Some(outside) = ids.iter().flatten().find(|id| **id as usize >= vocabulary) {
        return Err(ApiError::invalid(
            "prompt",
            format!("prompt: token {outside} is not one of the {vocabulary} of this vocabulary"),
        ));
    }
    if ids.iter().any(Vec::is_empty) {
        return Err(ApiError::invalid("prompt", "prompt: a list of token ids is empty; expected at least one"));
    }
    let texts = ids.iter().map(|ids| tokenizer.decode_skipping_specials(ids)).collect();
    Ok((ids, texts))
}

fn check_count(count: usize) -> Result<(), ApiError> {
    if (1..=MOST_PROMPTS).contains(&count) {
        return Ok(());
    }
    Err(ApiError::invalid("prompt", format!("prompt: {count} prompts; expected 1 to {MOST_PROMPTS}")))
}
