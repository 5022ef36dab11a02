//! Who asks.

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use std::convert::Infallible;
use std::net::SocketAddr;

/// A name for the client, by which requests are answered in turn: its address without the port.
#[derive(Debug, Clone)]
pub struct Client(pub String);

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(address.map_or_else(String::new, |ConnectInfo(address)| address.ip().to_string())))
    }
}
