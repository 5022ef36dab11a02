//! What the page must know, and what watchers ask.

use crate::http::error::ApiError;
use crate::http::state::Shared;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// `GET /api/hello`: the one route of the page that needs no key.
pub async fn hello(State(state): State<Shared>) -> Json<Value> {
    Json(json!({ "name": "glmtune", "version": env!("CARGO_PKG_VERSION"), "needs_key": state.keys.wanted() }))
}

/// `GET /api/info`.
pub async fn info(State(state): State<Shared>) -> Json<Value> {
    let (config, network) = (&state.config, &state.models.model().network);
    let models: Vec<Value> =
        state.models.all().iter().map(|answerer| json!({ "id": answerer.id, "adapter": answerer.adapter })).collect();
    let defaults = config.defaults;
    Json(json!({
        "base": {
            "name": config.name,
            "variant": network.config().variant.name(),
            "layers": network.config().num_layers,
            "parameters": network.parameter_count(),
            "held_as": config.held_as,
            "compute": config.compute,
        },
        "default_model": state.models.default().id,
        "models": models,
        "defaults": {
            "max_length": defaults.max_length,
            "top_p": defaults.top_p,
            "temperature": defaults.temperature,
            "top_k": defaults.top_k,
            "repetition_penalty": defaults.repetition_penalty,
        },
        "limits": { "max_length": config.max_length },
        "runs": config.runs.is_some(),
    }))
}

/// `GET /health`: the process answers.
pub async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /ready`: requests are taken.
///
/// # Errors
/// While the server shuts down.
pub async fn ready(State(state): State<Shared>) -> Result<Json<Value>, ApiError> {
    if state.stopping.load(Ordering::Relaxed) || !state.scheduler.works() {
        return Err(ApiError {
            status: StatusCode::SERVICE_UNAVAILABLE,
            ..ApiError::server("the server is shutting down")
        });
    }
    Ok(Json(json!({ "status": "ready" })))
}

/// `GET /metrics`.
pub async fn metrics(State(state): State<Shared>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], state.metrics.text()).into_response()
}
