//! What to do when a model cannot be had.

use std::path::Path;

use super::client::HttpError;
use super::name::HubName;
use super::settings::Environment;

const MIRROR: &str = "HF_ENDPOINT=https://hf-mirror.com";

/// What the cache lacks.
pub struct Lacks<'a> {
    /// As it was typed.
    pub path: &'a Path,
    /// Its folder in the cache.
    pub repo: &'a Path,
    /// Files.
    pub missing: &'a [String],
}

impl Lacks<'_> {
    /// Without the network.
    pub fn offline(&self, revision: &str) -> String {
        format!(
            "{}: there is no such folder here, and revision {revision} of the model is not whole in the cache ({}): it lacks \
             {}. Nothing is downloaded, for --offline or HF_HUB_OFFLINE says so; take it away, or copy the model there",
            self.path.display(),
            self.repo.display(),
            self.missing.join(", ")
        )
    }
}

/// A request for a model.
pub struct Asked<'a> {
    /// The model.
    pub name: &'a HubName,
    /// As it was typed.
    pub path: &'a Path,
    /// Server and token.
    pub environment: &'a Environment,
}

impl Asked<'_> {
    /// Why its list of files could not be had.
    pub fn listing(&self, error: &HttpError, lacks: &Lacks) -> String {
        let (path, name, endpoint) = (self.path.display(), self.name, &self.environment.endpoint);
        let start = format!("{path}: there is no such folder here, and");
        let token = match self.environment.token {
            Some(_) => "the token that was sent does not open it",
            None => "no token was sent",
        };
        let accept = format!(
            "If it is gated or private, accept its terms at {endpoint}/{name} and set HF_TOKEN to a token of yours \
             ({endpoint}/settings/tokens)"
        );
        match error {
            HttpError::Status(_, code) if code == "RevisionNotFound" => {
                format!("{name}: {endpoint} has the model, but not this revision: check --model_revision")
            }
            HttpError::Status(status, code) if code == "GatedRepo" || *status == 403 => {
                format!("{start} {endpoint} does not let everybody have {name} (status {status}); {token}. {accept}")
            }
            HttpError::Status(401, _) => format!(
                "{start} {endpoint} does not show a model {name} (status 401); {token}. Check the name. {accept}"
            ),
            HttpError::Status(404, _) => {
                format!("{start} {endpoint} has no model {name} (status 404); {token}. Check the name. {accept}")
            }
            HttpError::Status(status @ (429 | 500..=599), _) => format!(
                "{start} {endpoint} cannot serve {name} now (status {status}). Try again later, or another server: {MIRROR} \
                 is a mirror in China"
            ),
            HttpError::Unreachable(why) => format!(
                "{start} {endpoint} cannot be reached ({why}). The cache ({}) lacks {}. Check the network and its proxy \
                 (HTTPS_PROXY), set {MIRROR}, a mirror in China, or give the folder of a copy",
                lacks.repo.display(),
                lacks.missing.join(", ")
            ),
            error => format!("{start} {name} cannot be had from {endpoint}: {error}"),
        }
    }
}
