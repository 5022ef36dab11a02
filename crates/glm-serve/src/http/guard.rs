//! What every request and response goes through.

use super::error::ApiError;
use super::state::Shared;
use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Nothing from elsewhere, no script or style within a page, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Sets the headers that keep browsers strict.
pub async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Reads the body whole, within the limits of size and time, before anything else looks at the request.
pub async fn body(State(state): State<Shared>, request: Request, next: Next) -> Result<Response, ApiError> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(next.run(request).await);
    }
    let limit = state.config.max_body;
    let said = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|said| said > limit as u64) {
        return Err(ApiError::too_large(limit));
    }
    let (parts, body) = request.into_parts();
    let read = tokio::time::timeout(state.config.read_timeout, to_bytes(body, limit)).await;
    let body = read.map_err(|_| ApiError::too_slow())?.map_err(|error| {
        let too_long =
            std::error::Error::source(&error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
        if too_long { ApiError::too_large(limit) } else { ApiError::invalid("", "the body of the request broke off") }
    })?;
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

/// Counts responses and logs them, without what was asked or answered.
pub async fn counted(State(state): State<Shared>, request: Request, next: Next) -> Response {
    // The route as the server names it: a path could hold anything.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let began = std::time::Instant::now();
    let response = next.run(request).await.into_response();
    let status = response.status().as_u16();
    state.metrics.response(&route, status);
    tracing::info!(%method, route, status, milliseconds = began.elapsed().as_millis() as u64, "request");
    response
}
