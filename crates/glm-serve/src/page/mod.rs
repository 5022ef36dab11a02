//! The web page, embedded.

use crate::http::state::Shared;
use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use rust_embed::RustEmbed;

/// The files of the page. They are in the program in every build, so that nothing of it is read while it runs.
#[derive(RustEmbed)]
#[folder = "src/page/assets"]
struct Assets;

const INDEX: &str = "index.html";

/// Every file has a route of its own, so that no path from a request reaches a file system: `/` is the page itself, the others are
/// below `/assets`.
pub fn routes() -> Router<Shared> {
    Assets::iter().fold(Router::new(), |router, name| {
        let Some(file) = Assets::get(&name) else { return router };
        let path = if name == INDEX { "/".to_owned() } else { format!("/assets/{name}") };
        let headers = [(header::CONTENT_TYPE, kind(&name)), (header::CACHE_CONTROL, "no-cache")];
        router.route(&path, get(async move || (headers, file.data).into_response()))
    })
}

/// Type by the ending; licences are texts.
fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_only_files_that_are_there_and_none_from_elsewhere() {
        let text =
            |name: &str| String::from_utf8(Assets::get(name).expect("it is there").data.into_owned()).expect("text");
        let page = text(INDEX);
        let named: Vec<&str> = page.split('"').filter_map(|word| word.strip_prefix("assets/")).collect();
        assert!(named.len() >= 3, "{page}");
        named.into_iter().for_each(|name| assert!(Assets::get(name).is_some(), "{name}"));
        for name in Assets::iter().filter(|name| !name.starts_with("vendor/")) {
            let text = text(&name).replace("http://www.w3.org/", "");
            assert!(!text.contains("http://") && !text.contains("https://"), "{name} names another site");
        }
    }
}
