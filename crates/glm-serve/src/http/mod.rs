//! The server: routes, what stands before them, and connections.

pub mod auth;
pub mod client;
pub mod error;
mod guard;
mod serve;
pub mod state;

pub use serve::Server;

use crate::{admin, info, legacy, openai, page, runs};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post};
use error::ApiError;
use state::Shared;

/// All routes.
pub fn router(state: Shared) -> Router {
    let api = Router::new()
        .route("/v1/models", get(openai::models))
        .route("/v1/models/{*name}", get(openai::model))
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/completions", post(openai::completions))
        .route("/api/info", get(info::info))
        .route("/api/runs", get(runs::list))
        // Also with the slashes of a name as they are: not everything between client and server keeps %2F.
        .route("/api/runs/{*id}", get(runs::one))
        .route("/metrics", get(info::metrics))
        .route("/", post(legacy::answer))
        // Nobody's body is read before his key.
        .layer(from_fn_with_state(state.clone(), guard::body))
        .layer(from_fn_with_state(state.clone(), auth::api));
    let open = Router::new()
        .route("/api/hello", get(info::hello))
        .route("/health", get(info::health))
        .route("/ready", get(info::ready))
        .merge(page::routes());
    let mut all = api.merge(open);
    if state.admin_keys.wanted() {
        let admin = Router::new()
            .route("/admin/adapters", get(admin::list).post(admin::load))
            .route("/admin/adapters/{name}", delete(admin::unload))
            .route("/admin/adapters/{name}/rollback", post(admin::roll_back))
            .layer(from_fn_with_state(state.clone(), guard::body))
            .layer(from_fn_with_state(state.clone(), auth::admin));
        all = all.merge(admin);
    }
    all.fallback(async || ApiError::not_found("there is no such route; the API begins at /v1"))
        .method_not_allowed_fallback(async || ApiError {
            status: axum::http::StatusCode::METHOD_NOT_ALLOWED,
            ..ApiError::invalid("", "this route does not take this method")
        })
        // The limit is kept by what reads bodies; it also says so as OpenAI's error.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(state.clone(), auth::origin))
        .layer(from_fn_with_state(state.clone(), guard::counted))
        .layer(from_fn(guard::headers))
        .with_state(state)
}
