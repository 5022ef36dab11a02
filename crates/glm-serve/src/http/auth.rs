//! Who may ask.

use super::error::ApiError;
use super::state::Shared;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};
use subtle::{Choice, ConstantTimeEq};

/// Keys, as digests: comparing these takes the same time whatever was sent, its length included.
#[derive(Debug)]
pub struct Keys(Vec<[u8; 32]>);

impl Keys {
    /// Of the keys themselves.
    pub fn new(keys: &[String]) -> Self {
        Self(keys.iter().map(|key| digest(key.as_bytes())).collect())
    }

    /// Whether a key is wanted at all.
    pub fn wanted(&self) -> bool {
        !self.0.is_empty()
    }

    fn know(&self, key: &[u8]) -> bool {
        let given = digest(key);
        self.0.iter().fold(Choice::from(0), |found, key| found | key.ct_eq(&given)).into()
    }

    /// Whether headers bring one of the keys.
    pub fn allow(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
        let given = given.and_then(|value| {
            let (scheme, key) = value.split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then_some(key.trim_ascii())
        });
        self.know(given.unwrap_or_default()) && given.is_some()
    }
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// Lets requests through that bring a key of the API, where one is wanted.
pub async fn api(State(state): State<Shared>, request: Request, next: Next) -> Result<Response, ApiError> {
    if state.keys.wanted() && !state.keys.allow(request.headers()) {
        return Err(ApiError::unauthorised());
    }
    Ok(next.run(request).await)
}

/// Lets requests through that bring a key of the admin routes.
pub async fn admin(State(state): State<Shared>, request: Request, next: Next) -> Result<Response, ApiError> {
    if !state.admin_keys.allow(request.headers()) {
        return Err(ApiError::unauthorised());
    }
    Ok(next.run(request).await)
}

/// Refuses what comes through a web page of another origin, or by a name that is not the server's: with neither of these a
/// page that a user happens to visit can use a server on the user's machine.
pub async fn origin(State(state): State<Shared>, request: Request, next: Next) -> Result<Response, ApiError> {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !state.config.hosts.is_empty()
        && !is_address(host)
        && !state.config.hosts.iter().any(|known| same_host(known, host))
    {
        return Err(ApiError::forbidden(
            "this server is not known by the name in the Host header; start it with --allowed_host NAME to be reached by it",
        ));
    }
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default().to_owned());
    let own = |origin: &str| origin.split_once("://").is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(host));
    let named = |origin: &str| state.config.origins.iter().any(|known| known == "*" || known == origin);
    let other = origin.filter(|origin| !own(origin));
    if other.as_deref().is_some_and(|origin| !named(origin)) {
        return Err(ApiError::forbidden(
            "requests from web pages of other origins are refused; start the server with --cors_origin ORIGIN to allow one",
        ));
    }
    let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let asks = request.method() == axum::http::Method::OPTIONS;
    let mut response = match (&other, asks) {
        (Some(_), true) => Response::new(axum::body::Body::empty()),
        _ => next.run(request).await,
    };
    if let Some(Ok(origin)) = other.map(|origin| origin.parse()) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(header::VARY, header::HeaderValue::from_static("Origin"));
        if asks {
            let list = header::HeaderValue::from_static;
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, list("GET, POST"));
            let wanted = wanted.unwrap_or_else(|| list("authorization, content-type"));
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, list("600"));
        }
    }
    Ok(response)
}

/// Whether it is an address, with or without a port: no name server can lead it elsewhere.
fn is_address(host: &str) -> bool {
    host.parse::<SocketAddr>().is_ok() || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

/// Whether `found`, with or without a port, is `known`; a known name without a port stands for any.
fn same_host(known: &str, found: &str) -> bool {
    let name = |host: &str| match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name.to_owned(),
        _ => host.to_owned(),
    };
    known.eq_ignore_ascii_case(found) || known.eq_ignore_ascii_case(&name(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_key_opens() {
        let keys = Keys::new(&["sk-1".into(), "钥匙".into()]);
        let allow = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, header::HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
            keys.allow(&headers)
        };
        assert!(allow("Bearer sk-1") && allow("bearer  sk-1 ") && allow("Bearer 钥匙"));
        for wrong in ["Bearer sk-", "Bearer sk-11", "Bearer ", "Bearer", "Basic sk-1", "sk-1", "Bearer sk-1,x"] {
            assert!(!allow(wrong), "{wrong}");
        }
        assert!(!keys.allow(&HeaderMap::new()));
        assert!(!Keys::new(&[]).allow(&HeaderMap::new()) && !Keys::new(&[]).wanted());
    }

    #[test]
    fn hosts_are_compared_without_their_port() {
        for found in ["localhost", "localhost:8000", "LOCALHOST:1"] {
            assert!(same_host("localhost", found), "{found}");
        }
        assert!(same_host("[::1]", "[::1]:80") && same_host("[::1]", "[::1]") && same_host("a:1", "a:1"));
        for found in ["", "localhost.evil.com", "evil.com:80", "localhost:80:80x", "[::1"] {
            assert!(!same_host("localhost", found) && !same_host("[::1]", found), "{found}");
        }
    }
}
