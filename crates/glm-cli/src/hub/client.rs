//! Requests to a hub. Redirects are followed here, so that what each answer says is seen and the token goes to the hub
//! alone. Nothing that a server says is believed before it is checked.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use ureq::http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LOCATION, RANGE};
use ureq::http::{HeaderMap, Method, Request, Response, Uri};
use ureq::{Agent, Body};

use super::name::{HubName, is_below, is_component};
use super::settings::Environment;

/// Most bytes of a list of files.
const LARGEST_LISTING: u64 = 16 << 20;
/// Redirects in a row.
const MOST_REDIRECTS: usize = 5;
/// Pauses before a request is tried again that met no server, or a busy one.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_millis(1500)];

/// Why there is no usable answer.
#[derive(Debug)]
pub enum HttpError {
    /// No answer, or the transfer broke.
    Unreachable(String),
    /// An answer that refuses, with what the hub says about it (`X-Error-Code`).
    Status(u16, String),
    /// An answer that makes no sense.
    Malformed(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "no answer from the server ({why})"),
            Self::Status(status, code) if code.is_empty() => write!(f, "the server refuses it (status {status})"),
            Self::Status(status, code) => write!(f, "the server refuses it (status {status}, {code})"),
            Self::Malformed(what) => write!(f, "the server's answer cannot be used: {what}"),
        }
    }
}

/// Files of a commit.
#[derive(Debug)]
pub struct Listing {
    /// Commit, checked to be harmless in a path.
    pub commit: String,
    /// Names, checked to stay below where they are put.
    pub files: Vec<String>,
}

/// What a server says of a file.
#[derive(Debug)]
pub struct Metadata {
    /// Names the content, checked to be harmless in a path.
    pub etag: String,
    /// Bytes.
    pub size: Option<u64>,
    /// Commit that it is of.
    pub commit: Option<String>,
}

impl Metadata {
    /// SHA-256 of the content, in hexadecimal: the hub uses it as the etag of every large file.
    pub fn sha256(&self) -> Option<&str> {
        (self.etag.len() == 64 && self.etag.bytes().all(|b| b.is_ascii_hexdigit())).then_some(&self.etag)
    }
}

#[derive(Deserialize)]
struct ModelInfo {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

/// A hub.
pub struct Client {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
}

impl Client {
    /// Without any request.
    pub fn new(environment: &Environment) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_secs(30)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .user_agent(concat!("glmtune/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.new_agent(), endpoint: environment.endpoint.clone(), token: environment.token.clone() }
    }

    /// Address of the hub.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Address of a file of a commit.
    pub fn file_url(&self, name: &HubName, commit: &str, file: &str) -> String {
        format!("{}/{name}/resolve/{commit}/{file}", self.endpoint)
    }

    /// Commit and files of a revision.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub fn listing(&self, name: &HubName, revision: &str) -> Result<Listing, HttpError> {
        let url = format!("{}/api/models/{name}/revision/{}", self.endpoint, revision.replace('/', "%2F"));
        let (answer, _) = self.send(Method::GET, &url, None, false)?;
        let bytes = answer.into_body().into_with_config().limit(LARGEST_LISTING).read_to_vec().map_err(broken)?;
        let malformed = |what: String| HttpError::Malformed(format!("{url}: {what}"));
        let info: ModelInfo = serde_json::from_slice(&bytes)
            .map_err(|error| malformed(format!("no list of files of a model ({error})")))?;
        if !is_component(&info.sha) {
            return Err(malformed(format!("{:?} is no commit", info.sha)));
        }
        let files: Vec<String> = info.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
        match files.iter().find(|file| !is_below(file)) {
            Some(file) => Err(malformed(format!("the file name {file:?} leads out of the model's folder"))),
            None => Ok(Listing { commit: info.sha, files }),
        }
    }

    /// Etag, size and commit of a file.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub fn metadata(&self, url: &str) -> Result<Metadata, HttpError> {
        let (answer, said) = match self.send(Method::HEAD, url, None, true) {
            // A server that knows no HEAD is asked for the first byte.
            Err(HttpError::Status(405 | 501, _)) => self.send(Method::GET, url, Some((0, Some(0))), true)?,
            other => other?,
        };
        let headers = answer.headers();
        let etag = said.etag.or_else(|| text(headers, ETAG.as_str()));
        let Some(etag) = etag.map(|etag| etag.trim_start_matches("W/").trim_matches('"').to_owned()) else {
            return Err(HttpError::Malformed("it has no ETag, which names the content".into()));
        };
        if !is_component(&etag) {
            return Err(HttpError::Malformed(format!("the ETag {etag:?} cannot name a file")));
        }
        let whole = match answer.status().as_u16() {
            206 => text(headers, CONTENT_RANGE.as_str()).and_then(|range| Some(range.rsplit_once('/')?.1.to_owned())),
            200 => text(headers, CONTENT_LENGTH.as_str()),
            _ => None,
        };
        let size = match said.size.or(whole) {
            None => None,
            Some(size) => match size.parse() {
                Ok(size) => Some(size),
                Err(_) => return Err(HttpError::Malformed(format!("{size:?} is no size"))),
            },
        };
        Ok(Metadata { etag, size, commit: said.commit })
    }

    /// The content of a file from byte `from` on: status 206, or 200 and all of it.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub fn content(&self, url: &str, from: u64) -> Result<Response<Body>, HttpError> {
        let (answer, _) = self.send(Method::GET, url, (from > 0).then_some((from, None)), false)?;
        if answer.status().as_u16() == 206 {
            let range = text(answer.headers(), CONTENT_RANGE.as_str()).unwrap_or_default();
            if !range.starts_with(&format!("bytes {from}-")) {
                return Err(HttpError::Malformed(format!("asked for the bytes from {from} on, it sends {range:?}")));
            }
        }
        Ok(answer)
    }

    /// Sends, again if the server is busy, and follows redirects; with `to_metadata` only until an answer names the
    /// content, for behind it often stands a store that answers a GET alone.
    fn send(
        &self,
        method: Method,
        url: &str,
        range: Option<(u64, Option<u64>)>,
        to_metadata: bool,
    ) -> Result<(Response<Body>, Said), HttpError> {
        let mut pauses = PAUSES.iter();
        loop {
            let result = self.follow(&method, url, range, to_metadata);
            let busy =
                matches!(&result, Err(HttpError::Unreachable(_) | HttpError::Status(429 | 500 | 502 | 503 | 504, _)));
            match pauses.next() {
                Some(pause) if busy => std::thread::sleep(*pause),
                _ => return result,
            }
        }
    }

    fn follow(
        &self,
        method: &Method,
        url: &str,
        range: Option<(u64, Option<u64>)>,
        to_metadata: bool,
    ) -> Result<(Response<Body>, Said), HttpError> {
        let mut url = url.to_owned();
        let mut said = Said::default();
        for _ in 0..=MOST_REDIRECTS {
            let mut request = Request::builder().method(method.clone()).uri(&url).header(ACCEPT_ENCODING, "identity");
            if let Some((from, to)) = range {
                let to = to.map_or_else(String::new, |to| to.to_string());
                request = request.header(RANGE, format!("bytes={from}-{to}"));
            }
            if let Some(token) = self.token.as_ref().filter(|_| origin(&url) == origin(&self.endpoint)) {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            let request = request.body(()).map_err(|error| HttpError::Malformed(format!("{url}: {error}")))?;
            let answer = self.agent.run(request).map_err(broken)?;
            let status = answer.status();
            said.add(answer.headers());
            if status.is_success()
                || (to_metadata && status.is_redirection() && said.etag.is_some() && said.size.is_some())
            {
                return Ok((answer, said));
            }
            let Some(to) = text(answer.headers(), LOCATION.as_str()).filter(|_| status.is_redirection()) else {
                return Err(HttpError::Status(
                    status.as_u16(),
                    text(answer.headers(), "x-error-code").filter(|code| is_component(code)).unwrap_or_default(),
                ));
            };
            url = redirected(&url, &to)?;
        }
        Err(HttpError::Malformed(format!("{MOST_REDIRECTS} redirects in a row")))
    }
}

/// What the hub says of a file before it sends the client elsewhere.
#[derive(Default)]
struct Said {
    etag: Option<String>,
    size: Option<String>,
    commit: Option<String>,
}

impl Said {
    fn add(&mut self, headers: &HeaderMap) {
        for (known, name) in
            [(&mut self.etag, "x-linked-etag"), (&mut self.size, "x-linked-size"), (&mut self.commit, "x-repo-commit")]
        {
            *known = known.take().or_else(|| text(headers, name));
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.trim().to_owned())
}

fn broken(error: ureq::Error) -> HttpError {
    HttpError::Unreachable(error.to_string())
}

/// Scheme, host and port: where a token may go.
fn origin(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    Some((uri.scheme_str()?.to_owned(), uri.authority()?.as_str().to_ascii_lowercase()))
}

fn redirected(from: &str, to: &str) -> Result<String, HttpError> {
    let refused = || HttpError::Malformed(format!("{from} redirects to {to:?}"));
    let (scheme, host) = origin(from).ok_or_else(refused)?;
    let to = match to {
        to if to.starts_with("//") => format!("{scheme}:{to}"),
        to if to.starts_with('/') => format!("{scheme}://{host}{to}"),
        to => to.to_owned(),
    };
    match origin(&to) {
        // Never from a protected connection to an open one.
        Some((to_scheme, _)) if to_scheme == "https" || (to_scheme == "http" && scheme == "http") => Ok(to),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_protected() {
        let to = |from, to| redirected(from, to).ok();
        assert_eq!(to("https://a/b", "/c").as_deref(), Some("https://a/c"));
        assert_eq!(to("https://a/b", "//d/c").as_deref(), Some("https://d/c"));
        assert_eq!(to("http://a/b", "http://d:1/c").as_deref(), Some("http://d:1/c"));
        for bad in ["http://a/c", "file:///etc/passwd", "c", "", "https://"] {
            assert_eq!(to("https://a/b", bad), None, "{bad}");
        }
        assert_eq!(origin("https://A.b:1/c"), origin("https://a.b:1/d"));
        assert_ne!(origin("https://a.b"), origin("http://a.b"));
    }
}
