//! Errors as OpenAI's API has them.

use crate::scheduler::{Failure, Refused};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A refusal, or a failure that a client is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// OpenAI's `type`.
    pub kind: &'static str,
    /// What was expected, what was found, what to do.
    pub message: String,
    /// The field of the request that it is about.
    pub param: Option<String>,
    /// OpenAI's `code`.
    pub code: Option<&'static str>,
    /// Seconds after which to try again.
    pub retry_after: Option<u64>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), param: None, code: None, retry_after: None }
    }

    /// A request that cannot be understood; `param` names the field.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        let param = Some(param.into()).filter(|param| !param.is_empty());
        Self { param, ..Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message) }
    }

    /// Something that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { code: Some("not_found"), ..Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message) }
    }

    /// A model that is not there.
    pub fn no_model(name: &str) -> Self {
        let name: String = name.chars().take(200).collect();
        Self {
            param: Some("model".into()),
            code: Some("model_not_found"),
            ..Self::new(
                StatusCode::NOT_FOUND,
                "invalid_request_error",
                format!("the model {name:?} does not exist here; GET /v1/models lists those that do"),
            )
        }
    }

    /// No key, or a wrong one.
    pub fn unauthorised() -> Self {
        Self {
            code: Some("invalid_api_key"),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "authentication_error",
                "this server wants a key: send the header  Authorization: Bearer KEY",
            )
        }
    }

    /// A request that came through a web page or a name that this server is not known by.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "permission_error", message)
    }

    /// A body above the limit.
    pub fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "invalid_request_error",
            format!("the request is longer than {limit} bytes, which is the limit of this server"),
        )
    }

    /// A body that does not come.
    pub fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body of the request did not arrive in time")
    }

    /// Something that is the server's fault.
    pub fn server(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
    }

    /// The object, as a body or as an event of a stream.
    pub fn body(&self) -> Value {
        json!({ "error": { "message": self.message, "type": self.kind, "param": self.param, "code": self.code } })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.body())).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::Full { retry_after, .. } => Self {
                code: Some("queue_full"),
                retry_after: Some(retry_after),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message)
            },
            Refused::Stopping => {
                Self { code: Some("stopping"), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message) }
            }
            Refused::TooLarge { .. } => {
                Self { code: Some("context_length_exceeded"), ..Self::invalid("max_tokens", message) }
            }
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Deadline => Self {
                code: Some("deadline"),
                ..Self::new(
                    StatusCode::GATEWAY_TIMEOUT,
                    "timeout",
                    "the answer was not ready in the time that this server gives",
                )
            },
            Failure::Stopping => Self::from(Refused::Stopping),
            Failure::Model(reason) => Self::server(reason),
        }
    }
}
