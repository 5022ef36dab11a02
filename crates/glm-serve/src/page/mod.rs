//! The web page, embedded.

use crate::http::state::Shared;
use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

/// A file of the page.
struct Asset {
    path: &'static str,
    kind: &'static str,
    content: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";

macro_rules! assets {
    ($($path:literal $kind:ident $file:literal;)*) => {
        &[$(Asset { path: $path, kind: $kind, content: include_bytes!(concat!("assets/", $file)) }),*]
    };
}

static ASSETS: &[Asset] = assets! {
    "/" HTML "index.html";
};

/// Every file has a route of its own, so that no path from a request reaches a file system.
pub fn routes() -> Router<Shared> {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        let answer = async || {
            ([(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "no-cache")], asset.content).into_response()
        };
        router.route(asset.path, get(answer))
    })
}
