//! `GET /v1/models`.

use crate::http::error::ApiError;
use crate::http::state::Shared;
use crate::models::Answerer;
use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

/// The base and its adapters.
pub async fn models(State(state): State<Shared>) -> Json<Value> {
    let base = state.models.base();
    let data: Vec<Value> = state.models.all().iter().map(|answerer| entry(answerer, &base.id)).collect();
    Json(json!({ "object": "list", "data": data }))
}

/// One of them.
///
/// # Errors
/// When it does not exist.
pub async fn model(State(state): State<Shared>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let answerer = state.models.find(&name).ok_or_else(|| ApiError::no_model(&name))?;
    Ok(Json(entry(&answerer, &state.models.base().id)))
}

fn entry(answerer: &Answerer, base: &str) -> Value {
    json!({
        "id": answerer.id,
        "object": "model",
        "created": answerer.created,
        "owned_by": "glmtune",
        "root": base,
        "parent": answerer.adapter.as_ref().map(|_| base),
        "permission": null,
    })
}
